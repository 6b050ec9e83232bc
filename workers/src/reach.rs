//! Which hosts may be asked for something at an address that somebody else wrote down: public ones, and those that the operator names. It
//! looks at addresses and not at names, when they are used and not before: what a name leads to can change in between.

use std::{
    collections::BTreeSet,
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::http::{ClientConfig, ClientError};

/// What may be reached beyond the public network.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Reach {
    /// Hosts inside a private network, by name or address, in lower case.
    pub private_hosts: BTreeSet<String>,
    /// Hosts to which a redirect is followed.
    pub redirect_hosts: BTreeSet<String>,
}

/// Why an address may not be asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreachable {
    /// It lies inside a private network, or on this machine.
    #[error("`{0}` lies inside a private network; an operator may name it in `private_hosts`")]
    Private(String),
    /// It is not https, and no host that the operator named.
    #[error("`{0}` begins with neither https:// nor the name of a host that the operator named")]
    Plain(String),
}

impl Unreachable {
    /// Whether a request failed since what its name leads to may not be asked.
    pub fn within(error: &reqwest::Error) -> Option<&Self> {
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

impl Reach {
    /// Whether an address may be asked, as far as it says so itself. Where it has a name, [`Self::client`] looks at what the
    /// name leads to.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, url: &Url) -> Result<(), Unreachable> {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if self.names(&host) {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(Unreachable::Plain(url.to_string()));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(name)) if name.trim_end_matches('.') != "localhost" => return Ok(()),
            Some(Host::Domain(_)) | None => return Err(Unreachable::Private(host)),
        };
        if is_public(address) { Ok(()) } else { Err(Unreachable::Private(host)) }
    }

    /// A client that connects to nothing else, whatever a name leads to, and follows a redirect only to the hosts that are
    /// named for it.
    ///
    /// # Errors
    /// As [`ClientConfig::client`].
    pub fn client(&self, config: &ClientConfig) -> Result<reqwest::Client, ClientError> {
        let reach = self.clone();
        self.client_with(config, redirect::Policy::custom(move |attempt| reach.follow(attempt)))
    }

    /// The same, and it follows no redirect at all.
    ///
    /// # Errors
    /// As [`ClientConfig::client`].
    pub(crate) fn client_that_stays(
        &self,
        config: &ClientConfig,
    ) -> Result<reqwest::Client, ClientError> {
        self.client_with(config, redirect::Policy::none())
    }

    fn client_with(
        &self,
        config: &ClientConfig,
        policy: redirect::Policy,
    ) -> Result<reqwest::Client, ClientError> {
        let builder = config.builder()?.dns_resolver(Arc::new(self.clone()));
        builder.redirect(policy).build().map_err(ClientError::Build)
    }

    /// The same, with one more host that may lie inside a private network.
    #[must_use]
    pub fn naming(mut self, host: &str) -> Self {
        self.private_hosts.insert(host.to_ascii_lowercase());
        self
    }

    fn follow(&self, attempt: redirect::Attempt<'_>) -> redirect::Action {
        let host = attempt.url().host_str().unwrap_or_default().to_ascii_lowercase();
        let named = self.redirect_hosts.contains(&host) && self.check(attempt.url()).is_ok();
        // Stopped, the answer is the redirect itself.
        if named && attempt.previous().len() < 5 { attempt.follow() } else { attempt.stop() }
    }

    /// Whether what a host's name leads to may be connected to: public addresses alone, unless the host is named.
    pub(crate) fn may_connect(&self, host: &str, found: &[SocketAddr]) -> Result<(), Unreachable> {
        let private = found.iter().any(|address| !is_public(address.ip()));
        if private && !self.names(host) {
            return Err(Unreachable::Private(host.to_owned()));
        }
        Ok(())
    }

    fn names(&self, host: &str) -> bool {
        self.private_hosts.contains(host.trim_start_matches('[').trim_end_matches(']'))
            || self.private_hosts.contains(host)
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, host) = (self.clone(), name.as_str().to_ascii_lowercase());
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            reach.may_connect(&host, &found)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public network: none of those that RFC 6890 and its registries set apart, and none that
/// carries such a one inside it.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = carried(address) {
        return is_public_v4(inside);
    }
    let parts = address.segments();
    // Only 2000::/3 is given out; of it Teredo, benchmarks, ORCHID and documentation are set apart.
    let given_out = parts[0] & 0xe000 == 0x2000;
    let set_apart = match (parts[0], parts[1]) {
        (0x2001, second) => second < 0x0200 || second == 0x0db8,
        (first, _) => first == 0x3fff,
    };
    given_out && !set_apart
}

/// The IPv4 address that an IPv6 one stands for: mapped, translated (RFC 6052), or 6to4.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let low = |bits: u128| Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap_or(0));
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, ..] => Some(low(bits)),
        [0x2002, ..] => Some(low(bits >> 80)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_that_is_set_apart_is_public_in_whatever_form() {
        for private in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "4000::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2001:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_address_says_for_itself_whether_it_may_be_asked() {
        let reach = Reach {
            private_hosts: ["127.0.0.1", "registry.corp.example", "::1"].map(str::to_owned).into(),
            redirect_hosts: BTreeSet::new(),
        };
        let ok = |url: &str| reach.check(&url.parse().unwrap()).is_ok();
        for allowed in [
            "https://registry.example/a.tgz",
            "https://1.1.1.1/a.tgz",
            "http://127.0.0.1:4000/a.tgz",
            "http://registry.corp.example/a.tgz",
            "http://[::1]:4000/a.tgz",
        ] {
            assert!(ok(allowed), "{allowed}");
        }
        for refused in [
            "http://registry.example/a.tgz",
            "https://127.0.0.2/a.tgz",
            "https://2130706434/a.tgz",
            "https://0x7f.2/a.tgz",
            "https://[::ffff:127.0.0.1]/a.tgz",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/a.tgz",
            "https://localhost./a.tgz",
            "file:///etc/passwd",
        ] {
            assert!(!ok(refused), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_resolved_unless_it_is_named() {
        let resolve = async |reach: Reach| {
            reach.resolve("localhost".parse().unwrap()).await.map(Iterator::count)
        };
        let refused = resolve(Reach::default()).await.unwrap_err();
        assert!(refused.to_string().contains("private_hosts"), "{refused}");
        let named = Reach { private_hosts: ["localhost".to_owned()].into(), ..Reach::default() };
        assert!(resolve(named).await.unwrap() > 0);
    }
}
