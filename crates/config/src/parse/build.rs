//! Builds the tree of a document: where a header leads and which names are taken.
//!
//! Not here: syntax. Invariant: keys below a faulty header go nowhere, so that they cannot clash
//! with those of the section before it.

use crate::source::Span;
use crate::value::{Data, Entry, Origin, Table, Value};

/// The tree so far and the table that settings now go to.
pub(super) struct Builder {
    root: Table,
    /// Names of the open table; none below a faulty header.
    open: Option<Vec<String>>,
    /// Takes what stands below a faulty header.
    discarded: Table,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { root: Table::new(), open: Some(Vec::new()), discarded: Table::new() }
    }

    pub(super) fn finish(self) -> Table {
        self.root
    }

    /// Settings up to the next header go nowhere.
    pub(super) fn discard(&mut self) {
        self.open = None;
        self.discarded = Table::new();
    }

    /// Adds a setting to the open table; false if its key is taken.
    pub(super) fn insert(&mut self, key: &str, key_span: Span, value: Value) -> bool {
        let entry = Entry { key: key.to_owned(), key_span, value };
        let table = match &self.open {
            Some(path) => descend(&mut self.root, path),
            None => None,
        };
        table.unwrap_or(&mut self.discarded).insert(entry).is_ok()
    }

    /// Opens the table of a header, making it and its parents where they are missing.
    pub(super) fn open(&mut self, path: &[String], span: Span, list: bool) -> Result<(), String> {
        self.discard();
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        let mut table = &mut self.root;
        for name in parents {
            if table.get(name).is_none() {
                add(table, name, span, Data::Table(Table::new()));
            }
            table = child(table, name).ok_or_else(|| taken(name))?;
        }
        let fresh = Table::with_origin(Origin::Header);
        match table.get_mut(last).map(|value| &mut value.data) {
            None if list => {
                let first = Value { data: Data::Table(fresh), span };
                add(table, last, span, Data::Array(vec![first]));
            }
            None => add(table, last, span, Data::Table(fresh)),
            Some(Data::Table(table)) if !list && table.origin == Origin::Implied => {
                table.origin = Origin::Header;
            }
            Some(Data::Array(tables)) if list && ends_in_section(tables) => {
                tables.push(Value { data: Data::Table(fresh), span });
            }
            Some(_) => return Err(taken(&path.join("."))),
        }
        self.open = Some(path.to_vec());
        Ok(())
    }
}

fn taken(name: &str) -> String {
    format!("section {} has already been defined", super::shown(name))
}

/// Adds a name that is known to be free.
fn add(table: &mut Table, name: &str, span: Span, data: Data) {
    let entry = Entry { key: name.to_owned(), key_span: span, value: Value { data, span } };
    let added = table.insert(entry);
    debug_assert!(added.is_ok(), "the caller has looked the name up");
}

/// True for a list that `[[ ]]` headers made, as opposed to an array value.
fn ends_in_section(tables: &[Value]) -> bool {
    let last = tables.last().and_then(Value::as_table);
    last.is_some_and(|table| table.origin == Origin::Header)
}

fn descend<'a>(root: &'a mut Table, path: &[String]) -> Option<&'a mut Table> {
    path.iter().try_fold(root, |table, name| child(table, name))
}

/// The table of that name, or the last one of a list of tables. A table that is a value is closed.
fn child<'a>(table: &'a mut Table, name: &str) -> Option<&'a mut Table> {
    let table = match &mut table.get_mut(name)?.data {
        Data::Table(table) => table,
        Data::Array(tables) => match &mut tables.last_mut()?.data {
            Data::Table(table) => table,
            _ => return None,
        },
        _ => return None,
    };
    (table.origin != Origin::Value).then_some(table)
}
