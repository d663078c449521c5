//! One plugin section of a configuration. Not here: reading it (`load`), decoding it (`decode`).

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::decode;
use crate::plugin::PluginConfig;
use crate::problem::{Problem, Problems};
use crate::source::Span;
use crate::value::Table;

/// The six kinds of plugins; the order is that in which sections are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Category {
    /// Turns records into messages.
    Decoder,
    /// Turns messages into bytes.
    Encoder,
    /// Finds records in a stream.
    Splitter,
    /// Brings data in.
    Input,
    /// Gets messages, may make new ones.
    Filter,
    /// Takes messages out.
    Output,
}

impl Category {
    /// All kinds in the order in which sections are prepared.
    pub const ALL: [Category; 6] = [
        Category::Decoder,
        Category::Encoder,
        Category::Splitter,
        Category::Input,
        Category::Filter,
        Category::Output,
    ];

    /// The kind of a plugin type, which is the end of its name; none if it ends in no kind.
    pub fn of_type(plugin_type: &str) -> Option<Category> {
        Self::ALL.into_iter().find(|category| plugin_type.ends_with(category.name()))
    }

    /// The word that the type names end in.
    pub fn name(self) -> &'static str {
        match self {
            Category::Decoder => "Decoder",
            Category::Encoder => "Encoder",
            Category::Splitter => "Splitter",
            Category::Input => "Input",
            Category::Filter => "Filter",
            Category::Output => "Output",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A top-level table of a configuration that describes a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Name of the section.
    pub name: String,
    /// Its `type`, or its name where there is no type.
    pub plugin_type: String,
    /// Place of its header; none for a section that no file holds.
    pub span: Span,
    /// File it stands in. One section never comes from two files.
    pub file: Option<Arc<str>>,
    /// Its settings, `type` included.
    pub table: Table,
}

impl Section {
    /// A section that no file holds: the type of that name with its defaults.
    pub fn implicit(name: impl Into<String>) -> Self {
        let name = name.into();
        let plugin_type = name.clone();
        Self { name, plugin_type, span: Span::NONE, file: None, table: Table::new() }
    }

    /// The kind of plugin it describes; none if its type ends in no kind.
    pub fn category(&self) -> Option<Category> {
        Category::of_type(&self.plugin_type)
    }

    /// Decodes the settings that all plugins of the kind share (`C`) and the plugin's own (`T`).
    ///
    /// A key that both know goes to both. All problems of the section are added to `problems`;
    /// none is returned if one of them is an error.
    pub fn decode<C: PluginConfig, T: PluginConfig>(
        &self,
        problems: &mut Problems,
    ) -> Option<(C, T)> {
        decode::decode_section(self, problems)
    }

    /// An error at the section's header.
    pub fn error(&self, message: impl Into<String>) -> Problem {
        self.place(Problem::error(message), self.span)
    }

    /// An error at the setting `key` (nested ones with dots), or at the header if it is not set.
    pub fn error_at(&self, key: &str, message: impl Into<String>) -> Problem {
        let mut problem = self.place(Problem::error(message), self.span_of(key));
        problem.option = Some(key.to_owned());
        problem
    }

    /// A warning at the section's header.
    pub fn warning(&self, message: impl Into<String>) -> Problem {
        self.place(Problem::warning(message), self.span)
    }

    /// Place of the setting `key` (nested ones with dots), or of the header if it is not set.
    pub fn span_of(&self, key: &str) -> Span {
        decode::span_of(&self.table, key).unwrap_or(self.span)
    }

    fn place(&self, problem: Problem, span: Span) -> Problem {
        Problem {
            file: self.file.as_deref().map(str::to_owned),
            line: span.line,
            column: span.column,
            section: Some(self.name.clone()),
            ..problem
        }
    }
}
