//! Imports and spent manifest names in the state database.

mod lingering;
mod list;
mod manifests;
mod row;
mod transitions;
pub mod unfinished;

pub use lingering::{clear_lingering, list_lingering};
pub use list::{ImportFilter, ids_of, list};
pub use manifests::find_spender;
pub use row::{ImportRow, Origin, claiming, get, unfinished, unfinished_ingests, unfinished_of};
pub use transitions::{
    NewImport, fail_unfinished, insert, set_finished, set_queued, set_retry, set_running,
    set_stopped, undo_insert,
};
