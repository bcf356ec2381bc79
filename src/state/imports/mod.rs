//! The tables of imports and of used manifest names in the state database.

mod list;
mod manifests;
mod row;
mod transitions;
pub mod unfinished;

pub use list::{ImportFilter, ids_of, list};
pub use manifests::{clear_lingering, find_spender, list_lingering};
pub use row::{
    ImportRow, Origin, claiming, get, last_with_stem, unfinished, unfinished_ingests, unfinished_of,
};
pub use transitions::{
    NewImport, fail_unfinished, insert, set_finished, set_queued, set_retry, set_running,
    set_stem_to_id, set_stopped, undo_insert,
};
