//! One question to the hub, and the answer's beginning: HTTP with redirects, time-outs and tries.
//!
//! An address in, status, headers and an unread body out. Runs on the thread of the command; one
//! more thread cuts all connections once the command is asked to end. The token goes to the hub's
//! own host only, and no redirect leads from https to http.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

use super::HubError;
use super::address::{check_address, follow, host_of, origin_of};
use crate::plain::plain;

/// Redirects that are followed for one file.
const REDIRECTS_MAX: u32 = 8;
/// Time between two looks at whether the command is asked to end.
const LOOK: Duration = Duration::from_millis(50);

/// How long is waited, and how often is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a name, for a connection and for the head of an answer.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub silence: Duration,
    /// Time over which the pace of an answer is measured.
    pub pace: Duration,
    /// Bytes that must come in that time: a server that drips is one that is silent.
    pub pace_bytes: u64,
    /// Tries in a row without progress.
    pub tries: u32,
    /// Pause after the first one; it doubles.
    pub pause: Duration,
    /// Longest pause, also when the server asks for a longer one.
    pub pause_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            silence: Duration::from_secs(30),
            pace: Duration::from_secs(30),
            pace_bytes: 30_000,
            tries: 6,
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(60),
        }
    }
}

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub's address.
    pub hub: String,
    /// A token for the hub's own host.
    pub token: Option<String>,
    /// Certificates in PEM form that are trusted instead of the usual ones.
    pub certificates: Option<Vec<u8>>,
    /// Whether the environment's proxy is used.
    pub proxy: bool,
    /// How long is waited.
    pub patience: Patience,
}

/// A client of one hub.
pub struct Client {
    agent: Agent,
    hub: String,
    token: Option<String>,
    pub(super) patience: Patience,
    /// Set once the command is asked to end.
    pub(super) asked: Arc<AtomicBool>,
    /// The thread that cuts connections ends when this is gone.
    _alive: Arc<()>,
}

/// The beginning of an answer.
pub(super) struct Answer {
    /// 200, 206 or 416.
    pub(super) status: u16,
    /// Headers of the host that has the content.
    pub(super) headers: HeaderMap,
    /// Who that is.
    pub(super) host: String,
    /// What the hub itself said of the file on the way.
    pub(super) said: Said,
    pub(super) body: Body,
}

/// What the hub says of a file in headers of its own.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) oid: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) commit: Option<String>,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// It may pass; the server may have said when.
    Again {
        host: String,
        why: String,
        wait: Option<Duration>,
    },
    /// It does not.
    Over(HubError),
}

impl Client {
    /// Makes a client. Nothing is connected yet.
    ///
    /// # Errors
    /// [`HubError::Wrong`] for an address that is none, or certificates that cannot be read.
    pub fn new(settings: Settings, asked: Arc<AtomicBool>) -> Result<Self, HubError> {
        let hub = check_address(&settings.hub)?;
        let patience = settings.patience;
        let mut tls = TlsConfig::builder();
        if let Some(pem) = &settings.certificates {
            tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates(pem)?)));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // They are followed here: the hub's headers are read, the token stays.
            .max_redirects(0)
            .max_idle_connections(0)
            .proxy(settings.proxy.then(Proxy::try_from_env).flatten())
            .tls_config(tls.build())
            .user_agent(concat!("pressel/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_send_request(Some(patience.connect))
            .timeout_recv_response(Some(patience.connect))
            .timeout_per_read(Some(patience.silence))
            .build();
        let (agent, alive) = (Agent::new_with_config(config), Arc::new(()));
        cut_when_asked(agent.clone(), Arc::downgrade(&alive), Arc::clone(&asked))?;
        Ok(Self {
            agent,
            hub,
            token: settings.token,
            patience,
            asked,
            _alive: alive,
        })
    }

    /// Returns the hub's address, without a `/` at its end.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// Asks for what is at a path of the hub, and follows redirects.
    pub(super) fn get(
        &self,
        path: &str,
        what: &str,
        headers: &[(&str, String)],
    ) -> Result<Answer, Trouble> {
        let mut address = format!("{}{path}", self.hub);
        let mut said = Said::default();
        for _ in 0..=REDIRECTS_MAX {
            let (response, own) = self.ask(&address, headers)?;
            let head = response.headers();
            if own {
                said.hear(head);
            }
            let status = response.status().as_u16();
            let host = host_of(&address);
            match status {
                200 | 206 | 416 => {
                    let (head, body) = response.into_parts();
                    return Ok(Answer {
                        status,
                        headers: head.headers,
                        host,
                        said,
                        body,
                    });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let to = text(head, header::LOCATION.as_str()).unwrap_or_default();
                    address = follow(&address, to).map_err(Trouble::Over)?;
                }
                _ => return Err(refusal(host, what, own, status, head)),
            }
        }
        Err(Trouble::Over(HubError::Unreachable {
            host: host_of(&address),
            why: format!("more than {REDIRECTS_MAX} redirects"),
        }))
    }

    /// Asks once. Returns the answer, and whether it is the hub's own.
    fn ask(
        &self,
        address: &str,
        headers: &[(&str, String)],
    ) -> Result<(Response<Body>, bool), Trouble> {
        if self.asked.load(Ordering::Relaxed) {
            return Err(Trouble::Over(HubError::Interrupted));
        }
        let own = origin_of(address) == origin_of(&self.hub);
        let mut request = self.agent.get(address);
        request = request.header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = self.token.as_ref().filter(|_| own) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let host = host_of(address);
        log::debug!("hub asked host={host}");
        match request.call() {
            Ok(response) => Ok((response, own)),
            Err(_) if self.asked.load(Ordering::Relaxed) => {
                Err(Trouble::Over(HubError::Interrupted))
            }
            Err(error) => Err(trouble(host, error)),
        }
    }

    /// Waits before the try after `tries`, or gives up.
    pub(super) fn wait(
        &self,
        tries: u32,
        host: String,
        why: String,
        wait: Option<Duration>,
    ) -> Result<(), HubError> {
        if self.patience.tries <= tries {
            return Err(HubError::Unreachable { host, why });
        }
        let pause = pause(&self.patience, tries, wait);
        let seconds = pause.as_secs_f32();
        log::warn!("{host}: {why}: tried again in {seconds:.0} s");
        let began = Instant::now();
        while began.elapsed() < pause {
            if self.asked.load(Ordering::Relaxed) {
                return Err(HubError::Interrupted);
            }
            thread::sleep(LOOK.min(pause));
        }
        Ok(())
    }
}

/// Returns the pause after so many tries without progress, from 1 on.
fn pause(patience: &Patience, tries: u32, wait: Option<Duration>) -> Duration {
    let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
    let own = patience.pause.saturating_mul(doubled);
    wait.unwrap_or(own).min(patience.pause_max)
}

/// Starts the thread that cuts all connections once `asked` is set, for a read may last long.
fn cut_when_asked(agent: Agent, alive: Weak<()>, asked: Arc<AtomicBool>) -> Result<(), HubError> {
    let watch = move || {
        while 0 < alive.strong_count() {
            if asked.load(Ordering::Relaxed) {
                agent.shutdown();
                return;
            }
            thread::sleep(LOOK);
        }
    };
    let started = thread::Builder::new().name("hub".into()).spawn(watch);
    started
        .map(drop)
        .map_err(|error| HubError::Wrong(format!("cannot start a thread ({error}): try again")))
}

impl Said {
    fn hear(&mut self, headers: &HeaderMap) {
        let own = |name: &str| text(headers, name).map(str::to_owned);
        if let Some(oid) = own("x-linked-etag") {
            self.oid = Some(oid.trim_matches('"').to_ascii_lowercase());
        }
        let size = own("x-linked-size").and_then(|size| size.parse().ok());
        self.size = size.or(self.size);
        self.commit = own("x-repo-commit").or(self.commit.take());
    }
}

/// Returns a header's text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns what a status that is no answer means.
fn refusal(host: String, what: &str, own: bool, status: u16, headers: &HeaderMap) -> Trouble {
    let wait = text(headers, "retry-after").and_then(|seconds| seconds.trim().parse().ok());
    let wait = wait.map(Duration::from_secs);
    match status {
        // Another host gives files by addresses that hold for a while only: the hub makes new ones.
        408 | 425 | 429 | 500..=599 => (),
        400..=499 if !own => (),
        _ => {
            let what = what.to_owned();
            return Trouble::Over(HubError::Refused { host, what, status });
        }
    }
    let why = format!("status {status}");
    Trouble::Again { host, why, wait }
}

/// Returns what an error of the connection means.
fn trouble(host: String, error: ureq::Error) -> Trouble {
    let why = match error {
        ureq::Error::HostNotFound => "there is no such host, or no network".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        // That is how errors of TLS come, certificates that are not trusted among them.
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            let why = plain(&error.to_string());
            return Trouble::Over(HubError::Untrusted { host, why });
        }
        error @ (ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Pem(_)) => {
            let why = plain(&error.to_string());
            return Trouble::Over(HubError::Untrusted { host, why });
        }
        error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_)) => {
            let why = format!("{host}: its address cannot be used ({error}): check --hub");
            return Trouble::Over(HubError::Wrong(plain(&why)));
        }
        ureq::Error::Io(error) => plain(&error.to_string()),
        error => plain(&error.to_string()),
    };
    let wait = None;
    Trouble::Again { host, why, wait }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, HubError> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = items.collect();
    if certificates.is_empty() {
        let why = "the file of SSL_CERT_FILE holds no certificate in PEM form";
        return Err(HubError::Wrong(why.to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_bounded() {
        let patience = Patience::default();
        let pauses = [1, 2, 3, 4, 5, 9, 99].map(|tries| pause(&patience, tries, None).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 60, 60]);
        for (wait, expected) in [(0, 0), (7, 7), (u64::MAX, 60)] {
            let wait = Duration::from_secs(wait);
            assert_eq!(pause(&patience, 1, Some(wait)).as_secs(), expected);
        }
    }
}
