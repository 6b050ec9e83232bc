//! What keeps other sites out of the pages: the headers of every answer, the cookie of a session, the token in every
//! form, and the check of where a form was sent from. It knows nothing of what the forms do.
//!
//! A form is believed only where three things hold: the browser says that it comes from our own origin (`Origin`,
//! `Sec-Fetch-Site`), the cookie came along, which `SameSite=Strict` keeps to our own site, and the form carries the
//! token of that very session. Any one of them would do in today's browsers; each has had its holes.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};
use axum_extra::extract::cookie::{Cookie, SameSite};
use countersign_core::{Sha256, limits};
use subtle::ConstantTimeEq;
use url::Url;

/// No request leaves the origin, nothing inline runs, nothing may frame a page, and forms go to us alone.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Puts the headers of every page on an answer. Pages are not kept by anybody; assets set their own `cache-control`.
pub(crate) fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Where the pages are reached: what cookies and forms are held against.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// `https://host` or `http://host:port`; several where the listener is on loopback.
    origins: Vec<String>,
    cookie_name: String,
    is_https: bool,
}

impl Site {
    /// The site of this base address. On a loopback address all its names are valid.
    pub(crate) fn at(base_url: &str) -> Self {
        let url = Url::parse(base_url).ok();
        let is_https = url.as_ref().is_some_and(|url| url.scheme() == "https");
        let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or_default();
        let origin = url.as_ref().map(|url| url.origin().ascii_serialization());
        let loopback = match url.as_ref().and_then(Url::host) {
            Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
            Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let mut origins: Vec<String> = origin.into_iter().collect();
        if loopback && !is_https {
            origins.extend(
                ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}")),
            );
        }
        // Cookies do not know ports: two services on one machine would sign each other's maintainers out.
        let cookie_name =
            if is_https { "__Host-countersign".to_owned() } else { format!("countersign-{port}") };
        Self { origins, cookie_name, is_https }
    }

    /// The name of the session's cookie.
    pub(crate) fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    /// The cookie that carries a session's secret.
    pub(crate) fn cookie(&self, secret: String) -> Cookie<'static> {
        let hours = i64::try_from(limits::SESSION_HOURS).unwrap_or(1);
        self.build(secret, time::Duration::hours(hours))
    }

    /// The cookie that takes the session's away.
    pub(crate) fn no_cookie(&self) -> Cookie<'static> {
        self.build(String::new(), time::Duration::ZERO)
    }

    fn build(&self, value: String, max_age: time::Duration) -> Cookie<'static> {
        Cookie::build((self.cookie_name.clone(), value))
            .path("/")
            .http_only(true)
            .secure(self.is_https)
            .same_site(SameSite::Strict)
            .max_age(max_age)
            .build()
    }

    /// Whether a browser says that this request was made by one of our own pages. Silence is a no.
    pub(crate) fn is_own(&self, headers: &HeaderMap) -> bool {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let (site, origin) = (text(&FETCH_SITE), text(&ORIGIN));
        let site_agrees = site.is_none_or(|site| site == "same-origin");
        let origin_agrees =
            origin.is_none_or(|origin| self.origins.iter().any(|own| own == origin));
        (site.is_some() || origin.is_some()) && site_agrees && origin_agrees
    }
}

/// Whether another site led here: then a strict cookie was not sent, whoever is signed in.
pub(crate) fn came_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site")
}

/// What only a page of this session can say: a digest over the session's secret, which the cookie alone holds, and a text.
/// It tells nothing of the secret.
pub(crate) fn seal(session_secret: &str, text: &str) -> String {
    Sha256::of(format!("countersign page\n{session_secret}\n{text}").as_bytes()).to_hex()
}

/// Whether this is the seal of that session over that text, compared in a time that does not tell how much of it is right.
pub(crate) fn is_seal(sent: &str, session_secret: &str, text: &str) -> bool {
    seal(session_secret, text).as_bytes().ct_eq(sent.as_bytes()).into()
}

/// The path if it is one of ours, to go on to after signing in; otherwise the inbox. A browser reads `//host` and `/\host`
/// as another site.
pub(crate) fn own_path(path: &str) -> &str {
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if own { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_form_is_believed_only_from_our_own_origin() {
        let site = Site::at("https://sign.example");
        let own = |pairs: &[(&'static str, &'static str)]| site.is_own(&headers(pairs));
        assert!(own(&[("origin", "https://sign.example"), ("sec-fetch-site", "same-origin")]));
        assert!(own(&[("origin", "https://sign.example")]));
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        for refused in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("origin", "http://sign.example")],
            &[("origin", "https://sign.example.evil.example")],
            &[("origin", "https://sign.example:444")],
            &[("origin", "https://sign.example"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://sign.example"), ("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!own(refused), "{refused:?}");
        }
    }

    #[test]
    fn all_names_of_loopback_are_the_same_site() {
        let site = Site::at("http://127.0.0.1:4873");
        for origin in ["http://localhost:4873", "http://127.0.0.1:4873", "http://[::1]:4873"] {
            assert!(site.is_own(&headers(&[("origin", origin)])), "{origin}");
        }
        assert!(!site.is_own(&headers(&[("origin", "http://localhost:9999")])));
        assert!(!site.is_own(&headers(&[("origin", "https://localhost:4873")])));
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_and_hidden_from_scripts() {
        let cookie = Site::at("https://sign.example").cookie("secret".to_owned()).to_string();
        assert!(cookie.starts_with("__Host-countersign=secret; "), "{cookie}");
        for part in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/", "Max-Age=43200"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let plain = Site::at("http://127.0.0.1:4873").cookie("secret".to_owned()).to_string();
        assert!(plain.starts_with("countersign-4873=secret; ") && !plain.contains("Secure"));
    }

    #[test]
    fn a_seal_belongs_to_one_session_and_one_text() {
        assert!(is_seal(&seal("a", "form"), "a", "form"));
        assert!(!is_seal(&seal("a", "form"), "b", "form"));
        assert!(!is_seal(&seal("a", "form"), "a", "approve"));
        assert!(!is_seal("", "a", "form"));
        assert!(!seal("a", "form").contains(&Sha256::of(b"a").to_hex()));
    }

    #[test]
    fn only_a_path_of_ours_is_gone_on_to() {
        assert_eq!(own_path("/stages/a?files=same"), "/stages/a?files=same");
        for other in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a b", "x"]
        {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
