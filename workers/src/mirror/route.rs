//! What a request to the mirror asks for: the request line read strictly into one of a few values. It knows nothing of
//! what is answered.

use countersign_core::{PackageName, limits::MIRROR_TARGET_BYTES_MAX};
use hyper::{Method, Uri};

use super::policy::Reason;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// The root or `/-/ping`: is somebody there?
    Ping,
    /// Everything of one package.
    Packument(PackageName),
    /// One version's manifest, by its number or a dist-tag.
    Manifest(PackageName, String),
    /// A tarball, by the last part of its address.
    Tarball(PackageName, String),
    /// A name that something inside wanted to resolve; the forwarder hands it on.
    Dns(String),
    /// Something that is answered with a refusal.
    Refused(Reason),
}

/// The path under which the forwarder hands on the names that it was asked to resolve.
pub(super) const DNS_PATH: &str = "/-/countersign/dns";

/// Reads a request line.
pub(super) fn route(method: &Method, uri: &Uri) -> Route {
    if uri.authority().is_some() || !uri.path().starts_with('/') {
        return Route::Refused(Reason::ForeignHost);
    }
    let path = uri.path();
    if path.starts_with("/-/npm/v1/security/") {
        return Route::Refused(Reason::Audit);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Route::Refused(Reason::Method);
    }
    if path == DNS_PATH {
        return Route::Dns(dns_name(uri.query().unwrap_or_default()));
    }
    if matches!(path, "/" | "/-/ping") {
        return Route::Ping;
    }
    // Below `/-/` lies the registry's own interface, apart from the tarballs of the package that is called `-`.
    let own = path.starts_with("/-/") && !path.starts_with("/-/-/");
    package(path).filter(|_| !own).unwrap_or(Route::Refused(Reason::NotOffered))
}

/// The target as it stands in the record: the path, or `dns:` and the name; of a foreign host the whole address.
/// Only printable characters are kept.
pub(super) fn target(uri: &Uri, route: &Route) -> String {
    let text = match route {
        Route::Dns(name) => format!("dns:{name}"),
        Route::Refused(Reason::ForeignHost) => uri.to_string(),
        Route::Ping
        | Route::Packument(_)
        | Route::Manifest(..)
        | Route::Tarball(..)
        | Route::Refused(_) => uri.path().to_owned(),
    };
    let printable = text.chars().filter(|one| !one.is_control());
    let mut kept = String::new();
    for one in printable {
        if kept.len() + one.len_utf8() > MIRROR_TARGET_BYTES_MAX {
            break;
        }
        kept.push(one);
    }
    kept
}

fn package(path: &str) -> Option<Route> {
    let decoded: Vec<String> = path[1..].split('/').map(decode).collect::<Option<_>>()?;
    let joined = decoded.join("/");
    let parts: Vec<&str> = joined.split('/').collect();
    let (name, rest) = match parts.as_slice() {
        [scope, name, rest @ ..] if scope.starts_with('@') => (format!("{scope}/{name}"), rest),
        [name, rest @ ..] => ((*name).to_owned(), rest),
        [] => return None,
    };
    let (Ok(name), false) = (name.parse::<PackageName>(), lies_deeper(rest)) else {
        return tarball_below(&parts);
    };
    match rest {
        [] => Some(Route::Packument(name)),
        ["-", file] if file.ends_with(".tgz") => Some(Route::Tarball(name, (*file).to_owned())),
        [wanted] if *wanted != "-" && !wanted.is_empty() => {
            Some(Route::Manifest(name, (*wanted).to_owned()))
        }
        [..] => None,
    }
}

/// Whether what follows a name is more than any address of a package at this registry.
fn lies_deeper(rest: &[&str]) -> bool {
    match rest {
        [] | [_] | ["-", _] => false,
        [..] => true,
    }
}

/// A tarball at a registry that lies below a path, as lockfiles name it: npm puts our host in the place of the other
/// and keeps the path. Whatever stands before the name says nothing: who serves a name is not for the build to choose.
/// GitLab repeats the scope before the file; GitHub has `/download/@scope/name/version/digest`.
fn tarball_below(parts: &[&str]) -> Option<Route> {
    if let ["download", scope, name, version, digest] = parts {
        let is_digest = digest.len() >= 40 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        let package = format!("{scope}/{name}").parse().ok().filter(|_| is_digest)?;
        return Some(Route::Tarball(package, format!("{name}-{version}.tgz")));
    }
    let (before, file) = match parts {
        [before @ .., "-", scope, file] if scope.starts_with('@') => (before, file),
        [before @ .., "-", file] => (before, file),
        [..] => return None,
    };
    let name = match before {
        [.., scope, name] if scope.starts_with('@') => format!("{scope}/{name}"),
        [.., name] => (*name).to_owned(),
        [] => return None,
    };
    let name = name.parse().ok().filter(|_| file.ends_with(".tgz"))?;
    Some(Route::Tarball(name, (*file).to_owned()))
}

/// Percent-decoding (RFC 3986, 2.1), once; none where it is malformed or no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn dns_name(query: &str) -> String {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap_or_default();
    decode(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, uri: &str) -> Route {
        route(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    fn name(text: &str) -> PackageName {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_that_a_package_manager_writes_is_read() {
        assert_eq!(of("GET", "/left-pad"), Route::Packument(name("left-pad")));
        for form in ["/@a%2fb", "/@a%2Fb", "/@a/b", "/%40a%2fb"] {
            assert_eq!(of("GET", form), Route::Packument(name("@a/b")), "{form}");
        }
        let tarball = |of: &str, file: &str| Route::Tarball(name(of), file.to_owned());
        assert_eq!(of("GET", "/a/-/a-1.0.0.tgz?x=1"), tarball("a", "a-1.0.0.tgz"));
        assert_eq!(of("HEAD", "/@a/b/-/b-1.0.0.tgz"), tarball("@a/b", "b-1.0.0.tgz"));
        assert_eq!(of("GET", "/@a%2fb/latest"), Route::Manifest(name("@a/b"), "latest".to_owned()));
        assert_eq!(of("GET", "/-/ping?write=true"), Route::Ping);
    }

    #[test]
    fn a_lockfiles_address_below_the_path_of_another_registry_is_read_by_its_end() {
        let tarball = |of: &str, file: &str| Route::Tarball(name(of), file.to_owned());
        for (path, of_name, file) in [
            (
                "/api/npm/npm-virtual/left-pad/-/left-pad-1.0.0.tgz",
                "left-pad",
                "left-pad-1.0.0.tgz",
            ),
            ("/repository/all/@acme/x/-/x-1.0.0.tgz", "@acme/x", "x-1.0.0.tgz"),
            ("/npm/left-pad/-/left-pad-1.0.0.tgz", "left-pad", "left-pad-1.0.0.tgz"),
            (
                "/api/v4/projects/7/packages/npm/@acme/x/-/@acme/x-1.0.0.tgz",
                "@acme/x",
                "x-1.0.0.tgz",
            ),
            ("/@acme/x/-/@acme/x-1.0.0.tgz", "@acme/x", "x-1.0.0.tgz"),
            (
                "/download/@acme/x/1.0.0/0123456789abcdef0123456789abcdef01234567",
                "@acme/x",
                "x-1.0.0.tgz",
            ),
        ] {
            assert_eq!(of("GET", path), tarball(of_name, file), "{path}");
        }
        for path in [
            "/api/npm/x/../../y/-/..",
            "/a/b/-/c.zip",
            "/download/@acme/x/1.0.0/not-a-digest",
            "/a/b/c",
        ] {
            assert_eq!(of("GET", path), Route::Refused(Reason::NotOffered), "{path}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (method, uri, reason) in [
            ("POST", "/a", Reason::Method),
            ("PUT", "/a", Reason::Method),
            ("DELETE", "/-/ping", Reason::Method),
            ("POST", "/-/npm/v1/security/advisories/bulk", Reason::Audit),
            ("GET", "http://evil.example/a", Reason::ForeignHost),
            ("CONNECT", "evil.example:443", Reason::ForeignHost),
            ("GET", "/-/v1/search", Reason::NotOffered),
            ("GET", "/a/-/../../etc/passwd", Reason::NotOffered),
            ("GET", "/..%2f..%2fetc", Reason::NotOffered),
            ("GET", "/a%", Reason::NotOffered),
            ("GET", "/a%+1", Reason::NotOffered),
            ("GET", "/a/-/a-1.0.0.zip", Reason::NotOffered),
        ] {
            assert_eq!(of(method, uri), Route::Refused(reason), "{method} {uri}");
        }
    }

    #[test]
    fn the_record_holds_the_path_or_the_name_and_nothing_that_moves_a_cursor() {
        let written = |uri: &str| {
            let uri: Uri = uri.parse().unwrap();
            target(&uri, &route(&Method::GET, &uri))
        };
        assert_eq!(written("/a?token=secret"), "/a");
        assert_eq!(written("/-/countersign/dns?name=evil.example"), "dns:evil.example");
        assert_eq!(written("/-/countersign/dns?name=%1b%5b2Jx"), "dns:[2Jx");
        assert_eq!(written("http://evil.example/a"), "http://evil.example/a");
        assert_eq!(written(&format!("/{}", "x".repeat(5000))).len(), MIRROR_TARGET_BYTES_MAX);
    }
}
