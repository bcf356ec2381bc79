//! The total size of an account's answers, for the limit of results/.

use nix::errno::Errno;

use crate::account::AccountId;
use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};
use crate::spool::layout::Layout;

/// Returns the total size of the answers in the account's results/, in bytes. Skips the names in
/// `except` and unpublished (hidden) files. The total is 0 if the account has no folder.
pub fn answer_bytes(
    layout: &Layout,
    account: &AccountId,
    except: &[String],
) -> Result<u64, FolderError> {
    let path = layout.results(account);
    let Some(folder) = Folder::open_existing(&path)? else { return Ok(0) };
    let failed = |errno: Errno| FolderError::from(IoError::new("open the folder", &path, errno));
    let mut bytes: u64 = 0;
    for entry in folder.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_counted = !name.to_bytes().starts_with(b".")
            && !except.iter().any(|own| own.as_bytes() == name.to_bytes());
        // A file that was removed after the listing counts as empty.
        if is_counted && let Ok(stat) = folder.stat(name) {
            bytes = bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::test_host::TestHost;

    #[test]
    fn unpublished_and_excepted_answers_do_not_count() {
        let host = TestHost::new();
        let put = |name: &str, bytes: usize| {
            std::fs::write(host.results().join(name), vec![b'x'; bytes]).unwrap();
        };
        put("a.errors.csv", 300);
        put("a.result.json", 20);
        put(".sftp1-42.errors.csv.tmp", 4000);
        put("e.errors.csv", 50_000);
        let own = ["e.errors.csv".to_owned()];
        let bytes = answer_bytes(&host.layout, &host.account, &own).unwrap();
        assert_eq!(bytes, 320);
        std::fs::remove_dir_all(host.results()).unwrap();
        assert_eq!(answer_bytes(&host.layout, &host.account, &own).unwrap(), 0);
    }
}
