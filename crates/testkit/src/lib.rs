//! Checks that every plugin of a list must pass.
//!
//! Here: what the contracts say of all plugins alike. Not here: what a plugin does, which its own tests show.
//! Invariants: a check says which plugin and what is wrong with it, all faults at once; it names no plugin itself.

mod decoders;
mod fault;
mod lists;
mod pages;
mod sections;
mod world;

pub use fault::Fault;

use heka_plugin::PluginDef;

/// All that is wrong with the plugins of a list; empty if they keep the contracts. `seed` makes the random part of the
/// checks repeatable.
#[must_use]
pub fn check(plugins: &[PluginDef], seed: u64) -> Vec<Fault> {
    let mut faults = lists::check(plugins);
    faults.extend(sections::check(plugins));
    faults.extend(pages::check(plugins));
    faults.extend(decoders::check(plugins, seed));
    faults
}
