//! Where a request comes from: the other end of its connection, or, behind proxies that the operator trusts, what those say. What a
//! client says of itself is never believed.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// What proxies write the addresses into that a request came through, each behind those before it.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The other end of a connection.
    pub(super) fn of_peer(peer: IpAddr) -> Self {
        Self(peer.to_canonical())
    }

    /// The same, or where that is a trusted proxy the last address that no trusted proxy wrote down for another one. Where
    /// such a proxy writes none, it is the proxy's own.
    pub(super) fn behind(self, trusted: &[IpNet], headers: &HeaderMap) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
        if !is_trusted(&self.0) {
            return self;
        }
        let written: Vec<&str> = headers
            .get_all(FORWARDED)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut nearest = self.0;
        for text in written.iter().rev() {
            let Ok(address) = text.trim().parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !is_trusted(&nearest) {
                break;
            }
        }
        Self(nearest)
    }

    /// Whether it is this machine itself.
    pub(super) fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }

    /// What limits are counted by: an IPv6 client has a whole /64 to itself.
    pub(super) fn counted(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(network.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, trusted: &[&str], forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED, value.parse().unwrap());
        }
        let peer = ClientAddress::of_peer(peer.parse().unwrap());
        peer.behind(&trusted, &headers).0.to_string()
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_not_believed() {
        assert_eq!(seen("203.0.113.5", &[], &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(seen("203.0.113.5", &["10.0.0.0/8"], &["198.51.100.1"]), "203.0.113.5");
    }

    #[test]
    fn behind_trusted_proxies_it_is_the_last_address_that_none_of_them_has() {
        let trusted = ["10.0.0.0/8", "::1/128"];
        assert_eq!(seen("10.0.0.1", &trusted, &["198.51.100.1"]), "198.51.100.1");
        // The first one was sent by the client itself.
        assert_eq!(seen("10.0.0.1", &trusted, &["127.0.0.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &trusted, &["198.51.100.1", "10.2.2.2"]), "198.51.100.1");
        assert_eq!(seen("::1", &trusted, &["198.51.100.1, 10.2.2.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &trusted, &["198.51.100.1, x"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &trusted, &[]), "10.0.0.1");
        assert_eq!(seen("::ffff:10.0.0.1", &trusted, &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn an_address_of_ipv6_counts_with_its_whole_network() {
        let counted = |text: &str| ClientAddress::of_peer(text.parse().unwrap()).counted();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), counted("2001:db8:1:2:ffff::1"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
        assert_ne!(counted("192.0.2.1"), counted("192.0.2.2"));
    }
}
