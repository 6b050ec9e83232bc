//! The addresses of the pages, made in one place so that a path with any character in it stays one path.

use url::Url;

fn path(segments: &[&str], rest: &str) -> String {
    let mut url = Url::parse("http://page/").expect("a constant URL");
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(segments);
        if !rest.is_empty() {
            path.extend(rest.split('/'));
        }
    }
    url.path().to_owned()
}

/// The page of a stage.
pub(crate) fn stage(id: &str) -> String {
    path(&["stages", id], "")
}

/// A page under that of a stage: `approve`, `reject`, `log`, `events`.
pub(crate) fn of_stage(id: &str, page: &str) -> String {
    path(&["stages", id, page], "")
}

/// The page of one file of a stage.
pub(crate) fn file(id: &str, file: &str) -> String {
    path(&["stages", id, "files"], file)
}

/// The page of a package.
pub(crate) fn package(name: &str) -> String {
    path(&["packages"], name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_path_stays_one_path() {
        assert_eq!(stage("a"), "/stages/a");
        assert_eq!(file("a", "dist/in dex?#.js"), "/stages/a/files/dist/in%20dex%3F%23.js");
        assert_eq!(file("a", "x\u{202e}\"y"), "/stages/a/files/x%E2%80%AE%22y");
        assert_eq!(file("a", "50%/x"), "/stages/a/files/50%25/x");
        assert_eq!(package("@scope/name"), "/packages/@scope/name");
    }
}
