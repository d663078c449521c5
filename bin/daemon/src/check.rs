//! `hekad check`: all problems of a configuration, without running it.

use std::path::Path;
use std::sync::Arc;

use heka_config::{Config, Problem, Problems};
use heka_engine::{Engine, EngineSettings, Plan};
use heka_stream::{MemoryStorage, SystemClock};
use serde_json::json;

use crate::{PLUGINS, say};

/// Reads and plans a configuration; `None` after errors.
pub(crate) fn plan(path: &Path, problems: &mut Problems) -> Option<Plan> {
    let config = read(path, problems)?;
    Plan::new(&config, PLUGINS, problems)
}

fn read(path: &Path, problems: &mut Problems) -> Option<Config> {
    let (config, found) = heka_config::load(path);
    problems.extend(found);
    // Sections are checked even after errors, so that all problems show together.
    Some(config)
}

/// Prints the problems; the result is the exit code.
pub(crate) fn check(path: &Path, json: bool) -> anyhow::Result<u8> {
    let mut problems = Problems::new();
    let plan = plan(path, &mut problems);
    if let Some(plan) = &plan {
        for error in Engine::check(plan, &settings()) {
            let mut problem = Problem::error(error.error.to_string());
            problem.section = Some(error.section);
            problems.push(problem);
        }
    }
    let errors = problems.error_count();
    let warnings = problems.len() - errors;
    let routes = plan.as_ref().map(Plan::routes).unwrap_or_default();
    if json {
        problems.sort();
        let report = json!({"problems": problems, "routes": routes, "ok": errors == 0});
        say(&format!("{report:#}\n"))?;
    } else {
        say(&problems.to_string())?;
        for route in routes.iter().filter(|_| errors == 0) {
            let (consumer, plugin_type) = (&route.consumer, &route.plugin_type);
            say(&format!("{consumer} ({plugin_type}) gets {}\n", route.message_matcher))?;
        }
        say(&format!("{errors} errors, {warnings} warnings\n"))?;
    }
    Ok(u8::from(errors > 0))
}

fn settings() -> EngineSettings {
    EngineSettings {
        clock: Arc::new(SystemClock),
        storage: Arc::new(MemoryStorage::default()),
        hostname: String::new(),
        pid: 0,
    }
}
