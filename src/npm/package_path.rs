//! The paths below a package's name, as npm and other clients write them: `@scope%2fname`, `%2F`, and a raw slash. It
//! reads the path as it was sent, before anything decodes it, and knows nothing of methods or answers.

use countersign_core::PackageName;

/// What a path below a name asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Below {
    /// `/<name>`: the package itself.
    Package,
    /// `/<name>/<version or tag>`: one manifest.
    Manifest(String),
    /// `/<name>/-/<file>`: a tarball.
    Tarball(String),
    /// `/<name>/-rev/<rev>` or `/<name>/-/<file>/-rev/<rev>`: a change of the released document, as unpublish, star
    /// and owner send it.
    Revision,
}

/// A path that begins with a package's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PackagePath {
    /// The package.
    pub(crate) name: PackageName,
    /// What is asked of it.
    pub(crate) below: Below,
}

impl PackagePath {
    /// Reads the raw path of a request; none where it does not begin with a package's name or asks for something
    /// that no registry has below one.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let mut segments =
            raw.strip_prefix('/')?.split('/').map(decode).collect::<Option<Vec<_>>>()?;
        if segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        let (name, rest) = leading_name(&segments)?;
        let below = match rest {
            [] => Below::Package,
            [dash, file @ ..] if dash == "-" => below_dash(file)?,
            [rev, _] if rev == "-rev" => Below::Revision,
            [version] if !version.starts_with('-') => Below::Manifest(version.clone()),
            _ => return None,
        };
        Some(Self { name, below })
    }
}

/// A scope in a segment of its own takes the next one with it.
fn leading_name(segments: &[String]) -> Option<(PackageName, &[String])> {
    let (first, rest) = segments.split_first()?;
    // `-` is the name of a package too, and everything below it is the registry's own.
    if first == "-" {
        return None;
    }
    if first.starts_with('@') && !first.contains('/') {
        let (second, rest) = rest.split_first()?;
        return Some((format!("{first}/{second}").parse().ok()?, rest));
    }
    Some((first.parse().ok()?, rest))
}

fn below_dash(rest: &[String]) -> Option<Below> {
    match rest {
        [file] => Some(Below::Tarball(file.clone())),
        // Some registries repeat the scope before the file's name, and so do their lockfiles.
        [scope, file] if scope.starts_with('@') => Some(Below::Tarball(format!("{scope}/{file}"))),
        [_, rev, _] if rev == "-rev" => Some(Below::Revision),
        [scope, _, rev, _] if scope.starts_with('@') && rev == "-rev" => Some(Below::Revision),
        _ => None,
    }
}

/// Percent-decodes one segment; none where an escape is cut off or the bytes are no text.
pub(crate) fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.extend(hex::decode(digits).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Option<(String, Below)> {
        PackagePath::parse(raw).map(|path| (path.name.to_string(), path.below))
    }

    #[test]
    fn a_scoped_name_is_one_name_however_its_slash_is_written() {
        for raw in ["/@acme%2fwidget", "/@acme%2Fwidget", "/@acme/widget", "/%40acme%2fwidget"] {
            assert_eq!(parse(raw), Some(("@acme/widget".to_owned(), Below::Package)), "{raw}");
        }
        assert_eq!(parse("/left-pad"), Some(("left-pad".to_owned(), Below::Package)));
        assert_eq!(parse("/left-pad/"), Some(("left-pad".to_owned(), Below::Package)));
    }

    #[test]
    fn what_is_asked_of_a_package_is_told_apart() {
        let tarball = |file: &str| Below::Tarball(file.to_owned());
        for (raw, name, below) in [
            ("/x/1.2.3", "x", Below::Manifest("1.2.3".to_owned())),
            ("/@a%2fx/latest", "@a/x", Below::Manifest("latest".to_owned())),
            ("/@a/x/latest", "@a/x", Below::Manifest("latest".to_owned())),
            ("/x/-/x-1.2.3.tgz", "x", tarball("x-1.2.3.tgz")),
            ("/@a/x/-/x-1.2.3.tgz", "@a/x", tarball("x-1.2.3.tgz")),
            ("/@a%2fx/-/x-1.2.3.tgz", "@a/x", tarball("x-1.2.3.tgz")),
            ("/@a/x/-/@a/x-1.2.3.tgz", "@a/x", tarball("@a/x-1.2.3.tgz")),
            ("/x/-rev/1-abc", "x", Below::Revision),
            ("/@a%2fx/-rev/1-abc", "@a/x", Below::Revision),
            ("/x/-/x-1.2.3.tgz/-rev/1-abc", "x", Below::Revision),
            ("/@a/x/-/@a/x-1.2.3.tgz/-rev/1-abc", "@a/x", Below::Revision),
        ] {
            assert_eq!(parse(raw), Some((name.to_owned(), below)), "{raw}");
        }
    }

    #[test]
    fn what_is_no_path_of_a_package_is_none() {
        for raw in [
            "/",
            "",
            "/-/ping",
            "/@acme",
            "/@acme/",
            "/x/y/z",
            "/x/-/",
            "/x/-",
            "/..%2fetc",
            "/%zz",
            "/x%2fy",
            "/%ff",
            "/.hidden",
            "/x/-rev",
            "/favicon.ico",
            "//x",
        ] {
            assert_eq!(parse(raw), None, "{raw}");
        }
    }
}
