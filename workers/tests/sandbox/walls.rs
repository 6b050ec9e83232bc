//! The walls as `doctor` and a starting worker see them, and that a missing one refuses all work.

use libtest_mimic::Trial;
pub(crate) fn trials() -> Vec<Trial> {
    vec![crate::trial("every wall stands and holds", stands)]
}
fn stands() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let walls = countersign_worker::sandbox::walls(&folder.path().join("base"));
    for wall in &walls {
        println!("{wall:?}");
    }
    assert!(walls.iter().all(|wall| wall.stands));
}
pub(crate) fn ask_for_a_slot(
    _: impl Iterator<Item = std::ffi::OsString>,
) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
