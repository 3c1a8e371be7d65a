//! Views: a query under a name, which is put wherever the name stands.
//!
//! A view is a table of the catalogue that has a query and never a row. Its columns are those that the query had when
//! the view was made; the tables behind it may go or change, and then it answers 1356 until they fit again.
//! Invariant: the query is planned anew for each statement, in the snapshot of that statement; views within views
//! end at a bound, so one that came to name itself is refused and does no harm.
//! Not here: writing through a view (refused, 1288 and 1471).

use super::compile::unsupported;
use super::compound::{self, Union};
use super::ddl::refuse;
use super::select::{Place, Select};
use super::text;
use super::tree::{SelectTree, TableRef, table_name};
use super::vars::Vars;
use super::written::quoted;
use crate::catalogue;
use crate::error::Error;
use crate::op::{self, Op};
use crate::request::{Column, ColumnHead, ColumnType, TableDef};
use crate::table::TableInfo;
use crate::value::Value;
use sqlparser::ast;
use std::sync::Arc;

/// How deep views may stand in views. Default 16; a deeper one is refused with `TooLarge`.
const DEPTH_MAX: u32 = 16;

/// CREATE VIEW.
#[derive(Debug)]
pub struct View {
    pub name: TableRef,
    columns: Vec<String>,
    tree: SelectTree,
    /// As it was written.
    query: String,
    or_replace: bool,
    if_not_exists: bool,
}

impl View {
    /// `query`: the text of the query in it, and whether that asks for something of the session.
    pub fn new(tree: ast::CreateView, query: (String, bool)) -> Result<View, Error> {
        let plain =
            !tree.or_alter && !tree.materialized && !tree.secure && !tree.temporary && !tree.copy_grants;
        let bare = tree.options == ast::CreateTableOptions::None && tree.cluster_by.is_empty();
        if !plain || !bare || tree.comment.is_some() || tree.to.is_some() || tree.with_no_schema_binding {
            return unsupported("the clauses of this CREATE VIEW");
        }
        let (query, varies) = query;
        if varies {
            return Err(refuse(1351, "HY000", "View's SELECT contains a variable or parameter"));
        }
        let columns = tree.columns.into_iter().map(|column| column.name.value).collect();
        let (or_replace, if_not_exists) = (tree.or_replace, tree.if_not_exists);
        let name = table_name(&tree.name)?;
        let tree = compound::query(*tree.query, &[], &None)?;
        Ok(View { name, columns, tree, query, or_replace, if_not_exists })
    }

    /// Its definition over the tables as they are now.
    pub fn def(&self, place: Place<'_>) -> Result<TableDef, Error> {
        let select = Select::new(&self.tree, place)?;
        let mut heads = select.heads().to_vec();
        if !self.columns.is_empty() && self.columns.len() != heads.len() {
            let message = "View's SELECT and view's field list have different column counts";
            return Err(refuse(1353, "HY000", message));
        }
        heads.iter_mut().zip(&self.columns).for_each(|(head, name)| head.name.clone_from(name));
        let name = place.vars.table(&self.name)?.to_owned();
        let columns = heads.into_iter().map(column).collect();
        let query = Some(self.query.clone());
        catalogue::normal(&TableDef { name, columns, query, ..TableDef::default() })
    }

    /// The operation by which it is made; `None`: it is there. `there`: what has its name now.
    pub fn op(
        &self,
        def: TableDef,
        there: Result<Arc<TableInfo>, Error>,
        vars: &Vars,
    ) -> Result<Option<Op>, Error> {
        let there = match there {
            Ok(info) => info,
            Err(Error::NoTable { .. }) => return Ok(Some(Op::Create(def))),
            Err(error) => return Err(error),
        };
        let name = def.name.clone();
        match (self.or_replace, there.is_view()) {
            (true, true) => {
                let (table, schema_version) = (there.id, there.schema_version);
                Ok(Some(Op::Alter(op::Alter { table, schema_version, def, cells: None })))
            }
            (true, false) => Err(not_of_type(vars, &name, "VIEW")),
            (false, _) if self.if_not_exists => Ok(None),
            (false, _) => Err(Error::TableExists { table: name }),
        }
    }
}

/// A column of a view is what its query makes of it, and may be NULL.
fn column(head: ColumnHead) -> Column {
    let ColumnHead { name, kind, form, members, .. } = head;
    let kind = match kind {
        // A sum is announced with more digits than a column may have.
        ColumnType::Decimal { digits, scale } => ColumnType::Decimal { digits: digits.min(38), scale },
        kind => kind,
    };
    Column { name, kind, form, members, nullable: true, ..Column::default() }
}

/// What stands in the place of a view's name.
pub fn expanded(info: &TableInfo, place: Place<'_>) -> Result<Union, Error> {
    let query = info.def.query.as_deref().expect("the caller looked");
    let depth = place.vars.views.get();
    if depth >= DEPTH_MAX {
        let (got, max) = (u64::from(depth) + 1, u64::from(DEPTH_MAX));
        return Err(Error::TooLarge { what: "the depth of views in views", got, max });
    }
    place.vars.views.set(depth + 1);
    let union = text::query(query).and_then(|query| {
        let tree = compound::query(query, &[], &None)?;
        let columns: Vec<String> = info.def.columns.iter().map(|column| column.name.clone()).collect();
        Union::new(&[(tree, false)], &columns, Place { outer: None, ..place })
    });
    place.vars.views.set(depth);
    union.map_err(|error| match error {
        Error::NoTable { .. } | Error::NoColumn { .. } | Error::Sql { code: 1353, .. } => {
            let (home, name) = (&place.vars.home, info.name());
            let message = format!(
                "View '{home}.{name}' references invalid table(s) or column(s) or function(s) or \
                 definer/invoker of view lack rights to use them"
            );
            refuse(1356, "HY000", message)
        }
        error => error,
    })
}

pub fn not_of_type(vars: &Vars, name: &str, kind: &str) -> Error {
    refuse(1347, "HY000", format!("'{}.{name}' is not of type '{kind}'", vars.home))
}

/// Refuses to write into a view.
pub fn writable(info: &TableInfo, what: &str) -> Result<(), Error> {
    match (info.is_view(), what) {
        (false, _) => Ok(()),
        (true, "INSERT") => {
            let message = format!("The target table {} of the INSERT is not insertable-into", info.name());
            Err(refuse(1471, "HY000", message))
        }
        (true, _) => {
            let message = format!("The target table {} of the {what} is not updatable", info.name());
            Err(refuse(1288, "HY000", message))
        }
    }
}

/// The statement that would make this view again. `user`: by whom it is shown as made, for nobody's rights differ.
pub fn show_create(def: &TableDef, user: &str) -> String {
    let names: Vec<_> = def.columns.iter().map(|column| quoted(&column.name)).collect();
    let query = def.query.as_deref().unwrap_or_default();
    format!(
        "CREATE ALGORITHM=UNDEFINED DEFINER={}@`%` SQL SECURITY DEFINER VIEW {} ({}) AS {query}",
        quoted(user),
        quoted(&def.name),
        names.join(",")
    )
}

/// A row of `information_schema.VIEWS`.
pub fn row(info: &TableInfo, vars: &Vars) -> Option<Vec<Value>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let query = info.def.query.as_deref()?;
    let mut row = vec![text("def"), text(&vars.home), text(info.name()), text(query), text("NONE")];
    row.extend(["NO", &format!("{}@%", vars.client.user), "DEFINER", "utf8mb4", "utf8mb4_bin"].map(text));
    Some(row)
}

/// The columns of `information_schema.VIEWS`.
pub const COLUMNS: &[&str] = &[
    "TABLE_CATALOG",
    "TABLE_SCHEMA",
    "TABLE_NAME",
    "VIEW_DEFINITION",
    "CHECK_OPTION",
    "IS_UPDATABLE",
    "DEFINER",
    "SECURITY_TYPE",
    "CHARACTER_SET_CLIENT",
    "COLLATION_CONNECTION",
];
