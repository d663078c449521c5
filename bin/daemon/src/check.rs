//! `hekad check`: all problems of a configuration, without running it.

use std::path::Path;
use std::sync::Arc;

use heka_config::{Config, Problems};
use heka_engine::{Engine, EngineSettings, Plan};
use heka_stream::{MemoryStorage, SystemClock};
use serde_json::json;

use crate::{PLUGINS, say};

/// Reads and plans a configuration, and starts what touches nothing outside memory. All problems are collected;
/// a plan with errors must not be run.
pub(crate) fn plan(path: &Path, problems: &mut Problems) -> Plan {
    let (config, found) = heka_config::load(path);
    problems.extend(found);
    plan_config(&config, problems)
}

/// As [`plan`], of a configuration that was read.
pub(crate) fn plan_config(config: &Config, problems: &mut Problems) -> Plan {
    let plan = Plan::new(config, PLUGINS, problems);
    problems.extend(Engine::check(&plan, &settings()));
    problems.sort();
    plan
}

/// Prints the problems; the result is the exit code.
pub(crate) fn check(path: &Path, json: bool) -> anyhow::Result<u8> {
    let mut problems = Problems::new();
    let plan = plan(path, &mut problems);
    let errors = problems.error_count();
    let warnings = problems.len() - errors;
    let routes = plan.routes();
    if json {
        let report = json!({"problems": problems, "routes": routes, "ok": errors == 0});
        say(&format!("{report:#}\n"))?;
    } else {
        say(&problems.to_string())?;
        for route in routes.iter().filter(|_| errors == 0) {
            let (consumer, plugin_type) = (&route.consumer, &route.plugin_type);
            say(&format!("{consumer} ({plugin_type}) gets {}\n", route.message_matcher))?;
            for guarantee in &route.guarantees {
                say(&format!("    {guarantee}\n"))?;
            }
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
