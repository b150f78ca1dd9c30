//! A hub for tests: HTTP on 127.0.0.1 with answers that a test writes.
//!
//! Requests in, [`Reply`] out, one connection a request. It can cut a connection at a byte, hold it
//! open, lie about lengths, and answer in chunks. [`Repository`] answers as a whole hub does: with
//! a listing, redirects to another port for large files, ranges and object ids. The end-to-end
//! tests use this file, too.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A request, as a handler sees it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    /// How many requests for this path came before.
    pub(crate) before: usize,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What `Content-Length` says; none: nothing, the body ends with the connection.
    pub(crate) length: Option<u64>,
    /// In chunks of this many bytes; without the last one when cut.
    pub(crate) chunks: Option<usize>,
    /// Only so many bytes of the body are sent.
    pub(crate) cut: Option<usize>,
    /// Behind them the connection stays open, until the client goes.
    pub(crate) hold: bool,
    /// The body is sent again and again.
    pub(crate) endless: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
            length: Some(body.len() as u64),
            chunks: None,
            cut: None,
            hold: false,
            endless: false,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Answers a request for a part of `body` as a file server does.
    pub(crate) fn part(request: &Request, body: &[u8], etag: &str) -> Self {
        let same = request
            .headers
            .get("if-range")
            .is_none_or(|tag| tag == etag);
        let range = request.headers.get("range").filter(|_| same);
        let Some(range) = range else {
            return Self::new(200, body).with("ETag", etag);
        };
        let first: usize = range["bytes=".len()..]
            .trim_end_matches('-')
            .parse()
            .unwrap();
        let total = body.len();
        if total <= first {
            return Self::new(416, b"").with("Content-Range", format!("bytes */{total}"));
        }
        Self::new(206, &body[first..]).with("ETag", etag).with(
            "Content-Range",
            format!("bytes {first}-{}/{total}", total - 1),
        )
    }

    fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match (self.chunks, self.length) {
            (Some(_), _) => head += "Transfer-Encoding: chunked\r\n",
            (None, Some(length)) => head += &format!("Content-Length: {length}\r\n"),
            (None, None) => (),
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        let body = &self.body[..self.cut.unwrap_or(self.body.len())];
        loop {
            match self.chunks {
                Some(bytes) => {
                    for chunk in body.chunks(bytes) {
                        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                        stream.write_all(chunk)?;
                        stream.write_all(b"\r\n")?;
                    }
                    if self.cut.is_none() && !self.endless {
                        stream.write_all(b"0\r\n\r\n")?;
                    }
                }
                None => stream.write_all(body)?,
            }
            if !self.endless {
                break;
            }
        }
        stream.flush()?;
        if self.hold {
            // Ends when the client does.
            stream.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    }
}

/// A server; it ends with the test.
#[derive(Clone)]
pub(crate) struct Server {
    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(mut request) = read(&stream) else {
                        return;
                    };
                    {
                        let mut kept = lock(&kept);
                        let same = |old: &&Request| old.path == request.path;
                        request.before = kept.iter().filter(same).count();
                        kept.push(request.clone());
                    }
                    // A client that has gone is none of the server's business.
                    answer(&request).send(&mut stream).ok();
                });
            }
        });
        Self { address, requests }
    }

    /// Returns the requests that came, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a request's head; `None` when there is none.
fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    Some(Request {
        path,
        headers,
        before: 0,
    })
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) body: Vec<u8>,
    /// SHA-256 of a large file, git's SHA-1 of a small one.
    pub(crate) oid: String,
}

impl Held {
    /// A file that the hub keeps on another host.
    pub(crate) fn large(body: &[u8]) -> Self {
        Self::new(body, &Sha256::digest(body))
    }

    /// A file that the hub gives itself.
    pub(crate) fn small(body: &[u8]) -> Self {
        let blob = Sha1::new().chain_update(format!("blob {}\0", body.len()));
        Self::new(body, &blob.chain_update(body).finalize())
    }

    fn new(body: &[u8], oid: &[u8]) -> Self {
        Self {
            body: body.to_vec(),
            oid: oid.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// What changes an answer: from the request and the honest answer to the one that is given.
pub(crate) type Change = Box<dyn Fn(&Request, Reply) -> Reply + Send + Sync>;

/// A hub with one repository, and the host that its large files are on.
pub(crate) struct Repository {
    pub(crate) hub: Server,
    pub(crate) store: Server,
}

/// The commit of the repository.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Its name.
pub(crate) const REPO: &str = "owner/whisper-small.test";

impl Repository {
    /// Starts both hosts; each changes its honest answers by its function.
    pub(crate) fn start(files: BTreeMap<String, Held>, hub: Change, store: Change) -> Self {
        let listing = listing(&files);
        let (large, files) = (files.clone(), files);
        let store = Server::start(move |request| {
            let path = request.path.split('?').next().unwrap_or_default();
            let held = &large[path.trim_start_matches("/store/")];
            let etag = format!("\"{}\"", &held.oid[..8]);
            store(request, Reply::part(request, &held.body, &etag))
        });
        let host = store.address.clone();
        let hub = Server::start(move |request| {
            let honest = honest(request, &listing, &files, &host);
            hub(request, honest)
        });
        Self { hub, store }
    }
}

/// Returns the hub's honest answer.
fn honest(request: &Request, listing: &Value, files: &BTreeMap<String, Held>, host: &str) -> Reply {
    let path = request.path.as_str();
    if path.starts_with(&format!("/api/models/{REPO}/revision/")) {
        return Reply::new(200, listing.to_string().as_bytes());
    }
    let resolve = format!("/{REPO}/resolve/{COMMIT}/");
    let name = path.strip_prefix(&resolve).unwrap_or_default();
    let Some(held) = files.get(name) else {
        return Reply::new(404, b"Entry not found").with("X-Error-Code", "EntryNotFound");
    };
    if held.oid.len() == 40 {
        let etag = format!("\"{}\"", held.oid);
        return Reply::part(request, &held.body, &etag).with("X-Repo-Commit", COMMIT);
    }
    Reply::new(302, b"Found")
        .with("Location", format!("{host}/store/{name}?signature=secret"))
        .with("X-Repo-Commit", COMMIT)
        .with("X-Linked-Size", held.body.len())
        .with("X-Linked-Etag", format!("\"{}\"", held.oid))
}

/// Returns what the hub's API says of the repository.
fn listing(files: &BTreeMap<String, Held>) -> Value {
    let sibling = |(path, held): (&String, &Held)| {
        let size = held.body.len();
        let mut file = json!({"rfilename": path, "size": size, "blobId": "f".repeat(40)});
        if held.oid.len() == 40 {
            file["blobId"] = json!(held.oid);
        } else {
            file["lfs"] = json!({"sha256": held.oid, "size": size, "pointerSize": 130});
        }
        file
    };
    json!({"id": REPO, "sha": COMMIT, "siblings": files.iter().map(sibling).collect::<Vec<_>>()})
}
