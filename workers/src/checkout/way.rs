//! The way to a repository, gone before git is started: to which address it leads in the end, and whether that may be asked. git itself
//! follows no redirect, and connects to the addresses that were looked at here. It knows nothing of what a repository holds.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use countersign_core::source::Repository;
use reqwest::{StatusCode, header::LOCATION};
use url::{Host, Url};

use super::{CheckoutError, origin::Origin};
use crate::{
    http::ClientConfig,
    progress::Watch,
    reach::{Reach, Unreachable},
};

/// What git asks a server first (gitprotocol-http, "Smart Clients").
const FIRST: &str = "/info/refs";
/// What stands behind it.
const SERVICE: &str = "service=git-upload-pack";
/// As many redirects as git's own client follows are not needed by anybody.
const REDIRECTS_MAX: usize = 5;
/// How long one answer is waited for at most; git then finds out by itself what is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at whether the job was withdrawn.
const LOOK: Duration = Duration::from_millis(100);

/// Where a repository is fetched from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// The address in the end.
    pub(super) origin: Origin,
    /// The same as a text, where another address led to it.
    pub(super) redirected_to: Option<String>,
    /// To what git connects, as curl's `CURLOPT_RESOLVE`: `host:port:address,…`. None where the address says it itself, and
    /// behind a proxy, which resolves by itself.
    pub(super) pin: Option<String>,
}

/// What a way is gone with.
pub(super) struct Guide<'a> {
    pub(super) reach: &'a Reach,
    pub(super) client: &'a ClientConfig,
    /// Never longer than a fetch may take.
    pub(super) time_limit: Duration,
}

impl Guide<'_> {
    /// Goes the way from this address. What does not answer is left to git, whose words are known.
    ///
    /// # Errors
    /// Inside, a sentence that says why the address is not asked.
    pub(super) fn lead(
        &self,
        from: &Origin,
        watch: Watch<'_>,
    ) -> Result<Result<Way, String>, CheckoutError> {
        let (Origin::Https(text) | Origin::LoopbackHttp(text)) = from else {
            return Ok(Ok(Way { origin: from.clone(), redirected_to: None, pin: None }));
        };
        let client = self.reach.client_that_stays(self.client);
        let client = client.map_err(|error| CheckoutError::Roots(error.to_string()))?;
        let mut address = text.clone();
        for _ in 0..REDIRECTS_MAX {
            let url = match self.allowed(&address) {
                Ok(url) => url,
                Err(refused) => return Ok(Err(refused)),
            };
            match self.first_answer(&client, &address, watch)? {
                Answer::Moved(to) => address = to,
                Answer::Refused(why) => return Ok(Err(sentence(&why))),
                Answer::Other => return Ok(self.arrived(from, &address, &url)),
            }
        }
        Ok(Err(format!("{from} is redirected again and again.")))
    }

    fn arrived(&self, from: &Origin, address: &str, url: &Url) -> Result<Way, String> {
        let repository: Repository =
            address.parse().map_err(|_| format!("{address} is no address."))?;
        let origin = Origin::of(&repository).map_err(|clause| format!("{clause}."))?;
        let redirected_to = (*from != origin).then(|| address.to_owned());
        let pin = if self.client.proxy.is_some() { None } else { self.pin(url)? };
        Ok(Way { origin, redirected_to, pin })
    }

    fn allowed(&self, address: &str) -> Result<Url, String> {
        let url = Url::parse(address).map_err(|_| format!("{address} is no address."))?;
        self.reach.check(&url).map(|()| url).map_err(|why| sentence(&why))
    }

    /// What the server answers to what git asks it first.
    fn first_answer(
        &self,
        client: &reqwest::Client,
        address: &str,
        watch: Watch<'_>,
    ) -> Result<Answer, CheckoutError> {
        let asked = format!("{}{FIRST}?{SERVICE}", address.trim_end_matches('/'));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| CheckoutError::Io {
            doing: "Looking where a repository's address leads".to_owned(),
            source,
        })?;
        let answer = runtime.block_on(async {
            let answer = client.get(&asked).timeout(PATIENCE.min(self.time_limit)).send();
            let mut answer = std::pin::pin!(answer);
            loop {
                match tokio::time::timeout(LOOK, answer.as_mut()).await {
                    Ok(answer) => return Ok(answer),
                    Err(_) if watch.cancelled() => return Err(CheckoutError::Cancelled),
                    Err(_still_waiting) => {}
                }
            }
        })?;
        Ok(match answer {
            Ok(answer) => moved(&answer).map_or(Answer::Other, Answer::Moved),
            Err(error) => Unreachable::within(&error)
                .map_or(Answer::Other, |why| Answer::Refused(why.clone())),
        })
    }

    /// The addresses of a name, each of which was looked at.
    fn pin(&self, url: &Url) -> Result<Option<String>, String> {
        let (Some(Host::Domain(name)), Some(port)) = (url.host(), url.port_or_known_default())
        else {
            return Ok(None);
        };
        // A name that nobody knows is told by git in words that are known.
        let Ok(found) = (name, port).to_socket_addrs() else { return Ok(None) };
        let found: Vec<SocketAddr> = found.collect();
        self.reach.may_connect(name, &found).map_err(|why| sentence(&why))?;
        let written = |address: &SocketAddr| match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        let addresses: Vec<String> = found.iter().map(written).collect();
        Ok((!addresses.is_empty()).then(|| format!("{name}:{port}:{}", addresses.join(","))))
    }
}

enum Answer {
    /// The repository's address elsewhere.
    Moved(String),
    /// What the name leads to may not be asked.
    Refused(Unreachable),
    Other,
}

/// Where a redirect leads: git takes it for another address of the repository only if it ends like what was asked
/// (git's `http.c`, `update_url_from_redirect`).
fn moved(answer: &reqwest::Response) -> Option<String> {
    let is_redirect = matches!(
        answer.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let to = answer.headers().get(LOCATION).filter(|_| is_redirect)?.to_str().ok()?;
    let mut to = answer.url().join(to).ok()?;
    let base = to.path().strip_suffix(FIRST)?.to_owned();
    to.set_path(&base);
    to.set_query(None);
    to.set_fragment(None);
    Some(to.into())
}

fn sentence(why: &Unreachable) -> String {
    format!("{why}.")
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{served::Served, watch},
        *,
    };

    fn named(hosts: &[&str]) -> Reach {
        let private_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        Reach { private_hosts, ..Reach::default() }
    }

    fn lead(address: &str, reach: &Reach) -> Result<Way, String> {
        let origin = Origin::of(&address.parse().unwrap()).unwrap();
        let client = ClientConfig::default();
        let guide = Guide { reach, client: &client, time_limit: Duration::from_secs(10) };
        guide.lead(&origin, watch()).unwrap()
    }

    #[test]
    fn a_redirect_is_gone_before_git_is_started() {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::moved(folder.path());
        let way = lead(&served.address("/old/x.git"), &named(&["127.0.0.1"])).unwrap();
        let moved = served.address("/new/x.git");
        assert_eq!(way.redirected_to.as_deref(), Some(moved.as_str()));
        assert_eq!(way.origin, Origin::LoopbackHttp(moved));
        let straight = lead(&served.address("/x.git"), &named(&["127.0.0.1"])).unwrap();
        assert_eq!((straight.redirected_to, straight.pin), (None, None));
    }

    #[test]
    fn what_lies_inside_is_not_asked_unless_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::files(folder.path());
        let refused = lead(&served.address("/x.git"), &Reach::default()).unwrap_err();
        assert!(refused.contains("127.0.0.1"), "{refused}");
        for inside in
            ["https://10.1.2.3/x.git", "https://169.254.169.254/x", "https://localhost/x.git"]
        {
            assert!(
                lead(inside, &Reach::default()).unwrap_err().contains("private_hosts"),
                "{inside}"
            );
        }
        assert!(served.asked().is_empty());
    }

    #[test]
    fn a_redirect_that_leads_inside_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inside = Served::files(folder.path());
        let port = inside.address("").rsplit(':').next().unwrap().to_owned();
        let outside = Served::leading_to(&format!("http://127.0.0.2:{port}"));
        let refused = lead(&outside.address("/x.git"), &named(&["127.0.0.1"])).unwrap_err();
        assert!(refused.contains("127.0.0.2"), "{refused}");
        assert!(inside.asked().is_empty());
        let round = lead(&Served::going_round().address("/x.git"), &named(&["127.0.0.1"]));
        assert!(round.unwrap_err().contains("again and again"));
    }

    #[test]
    fn git_connects_to_what_was_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let address = Served::files(folder.path()).address("/x.git");
        let address = address.replace("127.0.0.1", "localhost");
        let pin = lead(&address, &named(&["localhost"])).unwrap().pin.unwrap();
        let port = address.split(':').nth(2).unwrap().split('/').next().unwrap();
        assert!(
            pin.starts_with(&format!("localhost:{port}:")) && pin.contains("127.0.0.1"),
            "{pin}"
        );
    }
}
