//! What can only be checked once all sections are read: references, cycles, duplicates, empty plans.

use std::collections::{BTreeMap, BTreeSet};

use heka_config::{Category, Problem, Problems, Section, nearest};

use heka_plugin::PluginDef;

use super::{Plan, category_word};

impl Plan {
    pub(super) fn check(&mut self, plugins: &[PluginDef], problems: &mut Problems) {
        self.check_references(plugins, problems);
        self.broken = self.check_decoders(problems);
        self.check_splitters(problems);
        self.check_buffering(problems);
        if problems.has_errors() {
            return;
        }
        if self.inputs.is_empty() && self.filters.is_empty() && self.outputs.is_empty() {
            problems.push(Problem::error("empty configuration: no input, filter or output"));
        } else if self.inputs.is_empty() {
            problems.push(Problem::warning("there is no input, so no message will ever come"));
        }
    }

    fn check_references(&self, plugins: &[PluginDef], problems: &mut Problems) {
        for reference in &self.references {
            let (section, kind) = (&reference.section, reference.kind);
            match &reference.name {
                Some(name) if !self.has(kind, name) => {
                    let names = self.present.iter().filter(|(present, _)| *present == kind);
                    let types = plugins.iter().filter(|def| def.kind == kind).map(|def| def.name);
                    let names = names.map(|(_, name)| name.as_str()).chain(types);
                    problems.push(missing(section, reference.key, kind, name, names));
                }
                None if reference.needed => {
                    let text = format!("{} needs an encoder", section.plugin_type);
                    problems.push(section.error_at(reference.key, text));
                }
                _ => {}
            }
        }
        for filter in &self.filters {
            if filter.common.encoder.is_some() || filter.common.use_framing.is_some() {
                let text = "encoder and use_framing have no effect on a filter";
                problems.push(filter.part.section.warning(text));
            }
        }
    }

    /// Returns the names of decoders whose references are wrong, or lead to such ones.
    fn check_decoders(&self, problems: &mut Problems) -> BTreeSet<String> {
        let mut broken = BTreeSet::new();
        let sections = &self.decoders.sections;
        let references: BTreeMap<&str, Vec<String>> = sections
            .iter()
            .map(|(name, part)| (name.as_str(), part.prepared.references()))
            .collect();
        for (name, part) in sections {
            let subs = references.get(name.as_str()).into_iter().flatten();
            for sub in subs.filter(|sub| !self.has(Category::Decoder, sub)) {
                let text = format!("non-existent subdecoder: {sub}");
                let mut problem = part.section.error_at("subs", text);
                problem.suggestion = nearest(sub, references.keys().copied()).map(str::to_owned);
                problems.push(problem);
                broken.insert(name.clone());
            }
            if reaches(&references, name, name, &mut Vec::new()) {
                problems.push(part.section.error_at("subs", "circular dependency detected"));
                broken.insert(name.clone());
            }
        }
        let leads = |name: &&String| {
            broken.iter().any(|to| reaches(&references, name, to, &mut Vec::new()))
        };
        let leading: Vec<String> = sections.keys().filter(leads).cloned().collect();
        broken.extend(leading);
        broken
    }

    fn has(&self, kind: Category, name: &str) -> bool {
        self.present.contains(&(kind, name.to_owned()))
    }

    fn check_splitters(&self, problems: &mut Problems) {
        let limit = self.globals.message_size() + super::FRAME_BYTES_MAX;
        for splitter in self.splitters.values() {
            if splitter.common.min_buffer_size.as_usize() > limit {
                let text = format!("min_buffer_size exceeds the longest record, {limit} bytes");
                problems.push(splitter.part.section.error_at("min_buffer_size", text));
            }
        }
    }

    /// A file of the log must hold the longest message; two consumers of one name would share a cursor.
    fn check_buffering(&self, problems: &mut Problems) {
        let filters = self.filters.iter().filter(|it| it.is_durable());
        let filters = filters.map(|it| (&it.part.section, it.rules().buffering()));
        let outputs = self.outputs.iter().filter(|it| it.is_durable());
        let outputs = outputs.map(|it| (&it.part.section, it.rules().buffering()));
        let least = (self.globals.message_size() + super::FRAME_BYTES_MAX) as u64;
        for (section, buffering) in filters.chain(outputs) {
            if buffering.file_size().bytes() < least {
                let text = format!("must be at least {least} bytes, the longest message");
                problems.push(section.error_at("buffering.max_file_size", text));
            }
        }
    }
}

fn missing<'a>(
    section: &Section,
    key: &str,
    category: Category,
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> Problem {
    let text = format!("there is no {} section '{name}'", category_word(category));
    let mut problem = section.error_at(key, text);
    problem.suggestion = nearest(name, names).map(str::to_owned);
    problem
}

/// True if following references from `from` leads to `to`.
fn reaches<'a>(
    references: &'a BTreeMap<&str, Vec<String>>,
    from: &str,
    to: &str,
    seen: &mut Vec<&'a str>,
) -> bool {
    let Some(subs) = references.get(from) else { return false };
    subs.iter().any(|sub| {
        if sub == to {
            return true;
        }
        if seen.contains(&sub.as_str()) {
            return false;
        }
        seen.push(sub);
        reaches(references, sub, to, seen)
    })
}
