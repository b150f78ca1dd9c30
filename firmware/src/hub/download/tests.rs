//! One file from servers that cut, lie, drip, hang and lead astray.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::hub::server::{Held, Reply, Request, Server};
use crate::hub::testing::{bytes, client, settings};
use crate::hub::{Client, Settings};

const SIZE: usize = 300_000;
const COMMIT: &str = "c0ffee";

/// A folder and the file that is to come into it.
struct Ground {
    folder: tempfile::TempDir,
    held: Held,
}

impl Ground {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            held: Held::large(&bytes(SIZE)),
        }
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("model.onnx")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("model.onnx.part")
    }

    fn run(&self, client: &Client) -> Result<Entry, HubError> {
        let file = RemoteFile {
            path: "onnx/a model.onnx".into(),
            size: self.held.body.len() as u64,
            oid: self.held.oid.clone(),
        };
        let mut last = Step::Have(0);
        let mut tell = |step| last = step;
        let done = download(client, ("o/r", COMMIT), &file, &self.place(), &mut tell);
        if done.is_ok() && 0 < file.size {
            assert_eq!(last, Step::Hashed(file.size));
        }
        done
    }

    /// Checks that the file came whole, by requests for these parts of it.
    fn check(&self, server: &Server, ranges: &[Option<usize>]) {
        let entry = self.run(&client(&server.address)).unwrap();
        assert_eq!(entry.oid.as_ref(), Some(&self.held.oid));
        assert_eq!(fs::read(self.place()).unwrap(), self.held.body);
        assert!(!self.part().exists());
        assert_eq!(asked(server), ranges);
    }

    /// Checks that the file did not come, and what is said.
    fn check_fails(&self, client: &Client, words: &[&str]) {
        let error = self.run(client).unwrap_err();
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(!self.place().exists());
    }
}

/// Returns the first byte of each request.
fn asked(server: &Server) -> Vec<Option<usize>> {
    let range = |request: &Request| {
        let range = request.headers.get("range")?;
        Some(range["bytes=".len()..range.len() - 1].parse().unwrap())
    };
    server.requests().iter().map(range).collect()
}

/// Starts a server that changes honest answers; it gets the number of the request, too.
fn serve(held: &Held, change: impl Fn(usize, Reply) -> Reply + Send + Sync + 'static) -> Server {
    let body = held.body.clone();
    Server::start(move |request| {
        assert_eq!(request.path, "/o/r/resolve/c0ffee/onnx/a%20model.onnx");
        change(request.before, Reply::part(request, &body, "\"v1\""))
    })
}

/// A change of an answer.
type Way = fn(Reply) -> Reply;

/// Changes the first answer only.
fn first(change: impl Fn(Reply) -> Reply) -> impl Fn(usize, Reply) -> Reply {
    move |number, honest| if number == 0 { change(honest) } else { honest }
}

#[test]
fn a_file_comes_whole_however_its_end_is_told() {
    let ground = Ground::new();
    let chunked = |mut reply: Reply| {
        reply.chunks = Some(10_000);
        reply
    };
    let unmeasured = |mut reply: Reply| {
        reply.length = None;
        reply
    };
    let endless = |mut reply: Reply| {
        reply.length = None;
        reply.endless = true;
        reply
    };
    let ways: [Way; 4] = [|reply| reply, chunked, unmeasured, endless];
    for way in ways {
        let server = serve(&ground.held, move |_, honest| way(honest));
        ground.check(&server, &[None]);
        // What is there and right is not asked for.
        ground.check(&server, &[None]);
        fs::remove_file(ground.place()).unwrap();
    }
}

#[test]
fn a_cut_file_goes_on_where_it_was_cut() {
    let ground = Ground::new();
    for (chunks, length) in [(None, true), (None, false), (Some(9_000), true)] {
        let server = serve(
            &ground.held,
            first(move |mut reply| {
                reply.cut = Some(90_000);
                reply.chunks = chunks;
                reply.length = reply.length.filter(|_| length);
                reply
            }),
        );
        ground.check(&server, &[None, Some(90_000)]);
        assert_eq!(server.requests()[1].headers["if-range"], "\"v1\"");
        fs::remove_file(ground.place()).unwrap();
    }
}

#[test]
fn progress_makes_tries_count_anew() {
    let mut ground = Ground::new();
    ground.held = Held::large(&bytes(8 * 1_200_000));
    let cut = |_, mut reply: Reply| {
        reply.cut = Some(reply.body.len().min(1_200_000));
        reply
    };
    let server = serve(&ground.held, cut);
    let ranges: Vec<_> = (0..8)
        .map(|at| Some(at * 1_200_000).filter(|&at| 0 < at))
        .collect();
    ground.check(&server, &ranges);
}

#[test]
fn a_part_of_an_earlier_run_is_gone_on_with_or_begun_anew() {
    let ground = Ground::new();
    let right = &ground.held.body;
    let foreign = vec![7; SIZE + 1];
    let (whole, wrong) = (SIZE, vec![7; SIZE]);
    for (part, ranges) in [
        (&right[..1], vec![Some(1)]),
        (&right[..whole - 1], vec![Some(whole - 1)]),
        (&right[..], vec![]),
        // Too long; wrong from the first byte on, which only the hash tells.
        (&foreign[..], vec![None]),
        (&wrong[..], vec![None]),
        (&wrong[..100], vec![Some(100), None]),
    ] {
        fs::write(ground.part(), part).unwrap();
        ground.check(&serve(&ground.held, |_, honest| honest), &ranges);
        fs::remove_file(ground.place()).unwrap();
    }
    // A file at its place with another content does not count as whole.
    fs::write(ground.place(), &wrong).unwrap();
    ground.check(&serve(&ground.held, |_, honest| honest), &[None]);
}

#[test]
fn a_server_that_does_not_give_the_rest_gives_all() {
    let ground = Ground::new();
    let begin = || fs::write(ground.part(), &ground.held.body[..1_000]).unwrap();
    let end = || fs::remove_file(ground.place()).unwrap();
    let body = ground.held.body.clone();
    begin();
    ground.check(
        &serve(&ground.held, move |_, _| Reply::new(200, &body)),
        &[Some(1_000)],
    );
    end();
    let none = |_| Reply::new(416, b"").with("Content-Range", "bytes */500");
    let other = |mut reply: Reply| {
        reply.headers.retain(|(name, _)| name != "Content-Range");
        reply.with("Content-Range", "bytes 1001-299999/300000")
    };
    let unnamed = |mut reply: Reply| {
        reply.headers.retain(|(name, _)| name != "Content-Range");
        reply
    };
    let ways: [Way; 3] = [none, other, unnamed];
    for way in ways {
        begin();
        ground.check(&serve(&ground.held, first(way)), &[Some(1_000), None]);
        end();
    }
    // The file has changed on the server while it came.
    let (old, new) = (vec![7; SIZE], ground.held.body.clone());
    let server = Server::start(move |request| match request.before {
        0 => {
            let mut reply = Reply::part(request, &old, "\"old\"");
            reply.cut = Some(5_000);
            reply
        }
        _ => Reply::part(request, &new, "\"new\""),
    });
    ground.check(&server, &[None, Some(5_000)]);
}

#[test]
fn wrong_bytes_are_deleted_fetched_once_more_and_then_an_error() {
    let ground = Ground::new();
    let flip = |mut reply: Reply| {
        reply.body[17] ^= 1;
        reply
    };
    ground.check(&serve(&ground.held, first(flip)), &[None, None]);
    fs::remove_file(ground.place()).unwrap();

    let longer = |mut reply: Reply| {
        reply.body.push(0);
        reply.length = Some(reply.body.len() as u64);
        reply
    };
    let shorter = |mut reply: Reply| {
        reply.body.pop();
        reply.length = Some(reply.body.len() as u64);
        reply
    };
    let ways: [(Way, &str); 8] = [
        (flip, "hash"),
        (longer, "300001 bytes"),
        (shorter, "299999 bytes"),
        (
            |reply| reply.with("X-Linked-Etag", "\"00\""),
            "another object id",
        ),
        (|reply| reply.with("X-Linked-Size", 5), "with 5 bytes"),
        (
            |reply| reply.with("X-Repo-Commit", "badbad"),
            "another commit",
        ),
        (
            |reply| reply.with("Content-Encoding", "gzip"),
            "packed as gzip",
        ),
        (
            |_| Reply::new(206, b"x").with("Content-Range", "bytes 0-0/1"),
            "with 1 bytes",
        ),
    ];
    for (way, word) in ways {
        let server = serve(&ground.held, move |_, honest| way(honest));
        ground.check_fails(
            &client(&server.address),
            &["onnx/a model.onnx", word, "twice"],
        );
        assert_eq!(asked(&server), [None, None], "{word}");
        assert!(!ground.part().exists());
    }
}

#[test]
fn what_comes_again_and_again_from_the_beginning_is_no_progress() {
    let mut ground = Ground::new();
    let piece = 3 * usize::try_from(PROGRESS_BYTES).unwrap() / 2;
    ground.held = Held::large(&bytes(2 * piece));
    // It gives the first half, and never the rest.
    let server = serve(&ground.held, move |number, mut honest| {
        if number % 2 == 1 {
            return Reply::new(416, b"");
        }
        honest.cut = Some(piece);
        honest
    });
    ground.check_fails(&client(&server.address), &["a model.onnx", "is kept"]);
    // The first half is progress once; after it the tries of `testing::PATIENCE` are counted.
    assert_eq!(asked(&server).len(), 3);
}

#[test]
fn servers_that_are_busy_are_asked_again_and_those_that_say_no_are_not() {
    let ground = Ground::new();
    for status in [408, 429, 500, 503, 599] {
        let busy = move |_| Reply::new(status, b"later").with("Retry-After", 3_600);
        ground.check(&serve(&ground.held, first(busy)), &[None, None]);
        fs::remove_file(ground.place()).unwrap();
        let server = serve(&ground.held, move |_, _| Reply::new(status, b"later"));
        let status = status.to_string();
        ground.check_fails(&client(&server.address), &["127.0.0.1", &status, "is kept"]);
        assert_eq!(asked(&server), [None; 3]);
    }
    for (status, word) in [
        (401, "HF_TOKEN"),
        (403, "HF_TOKEN"),
        (404, "--revision"),
        (418, "418"),
    ] {
        let server = serve(&ground.held, move |_, _| Reply::new(status, b"no"));
        ground.check_fails(&client(&server.address), &["a model.onnx", word]);
        assert_eq!(asked(&server), [None]);
    }
}

#[test]
fn silent_and_dripping_servers_are_left() {
    let ground = Ground::new();
    let with = |server: &Server, patience| {
        let settings = Settings {
            patience,
            ..settings(&server.address)
        };
        Client::new(settings, Arc::new(AtomicBool::new(false))).unwrap()
    };
    let hold = |_, mut reply: Reply| {
        reply.cut = Some(reply.body.len().min(1_000));
        reply.hold = true;
        reply
    };
    let server = serve(&ground.held, hold);
    let mut patience = crate::hub::testing::PATIENCE;
    patience.silence = Duration::from_millis(100);
    ground.check_fails(
        &with(&server, patience),
        &["nothing came for 0.1 s at byte 3000", "is kept"],
    );
    assert_eq!(fs::metadata(ground.part()).unwrap().len(), 3_000);

    // All that comes is too slow for a pace of 2^64 bytes in no time.
    fs::remove_file(ground.part()).unwrap();
    let server = serve(&ground.held, |_, honest| honest);
    patience = crate::hub::testing::PATIENCE;
    (patience.pace, patience.pace_bytes) = (Duration::ZERO, u64::MAX);
    patience.tries = 1;
    ground.check_fails(&with(&server, patience), &["too slowly"]);
    assert!(0 < fs::metadata(ground.part()).unwrap().len());
}

#[test]
fn redirects_are_followed_without_the_token_and_not_for_ever() {
    let ground = Ground::new();
    let body = ground.held.body.clone();
    let store = Server::start(move |request| Reply::part(request, &body, "\"s\""));
    let to = format!("{}/blob?key=1#x", store.address);
    let hub = Server::start(move |request| match request.path.as_str() {
        "/moved/x" => Reply::new(302, b"").with("Location", &to),
        "/moved" => Reply::new(307, b"").with("Location", "moved/x"),
        _ => Reply::new(308, b"").with("Location", "/moved"),
    });
    ground.run(&client(&hub.address)).unwrap();
    let tokens = |server: &Server| -> Vec<_> {
        let requests = server.requests();
        let tokens = requests
            .iter()
            .map(|request| request.headers.contains_key("authorization"));
        tokens.collect()
    };
    assert_eq!((tokens(&hub), tokens(&store)), (vec![true; 3], vec![false]));
    assert_eq!(store.requests()[0].path, "/blob?key=1");

    fs::remove_file(ground.place()).unwrap();
    let round = Server::start(|request| {
        Reply::new(302, b"").with("Location", format!("{}?{}", request.path, request.before))
    });
    ground.check_fails(&client(&round.address), &["127.0.0.1", "redirects"]);
    let nowhere = Server::start(|_| Reply::new(302, b""));
    ground.check_fails(&client(&nowhere.address), &["a redirect to nowhere"]);
    // Addresses of another host hold for a while only: the hub gives new ones.
    let expired = Server::start(|_| Reply::new(403, b"Request has expired"));
    let to = format!("{}/x", expired.address);
    let hub = Server::start(move |_| Reply::new(302, b"").with("Location", &to));
    ground.check_fails(&client(&hub.address), &["status 403", "cannot be reached"]);
    assert_eq!(expired.requests().len(), 3);
}

#[test]
fn a_host_that_is_not_there_or_not_safe_is_named() {
    let ground = Ground::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    ground.check_fails(
        &client(&nobody),
        &["127.0.0.1", "refused", "check the network"],
    );
    // No HTTP at all, and no TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream
                .unwrap()
                .write_all(b"220 mail.example ESMTP\r\n")
                .unwrap();
        }
    });
    ground.check_fails(&client(&address), &["127.0.0.1", "cannot be reached"]);
    let secure = address.replace("http:", "https:");
    ground.check_fails(&client(&secure), &["127.0.0.1", "not safe", "date"]);
}

#[test]
fn a_full_disk_is_named() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let ground = Ground::new();
    symlink("/dev/full", ground.part()).unwrap();
    let server = serve(&ground.held, |_, honest| honest);
    ground.check_fails(
        &client(&server.address),
        &["model.onnx.part", "full", "make room"],
    );
}

#[test]
fn asked_to_end_it_ends_at_once_and_keeps_what_came() {
    let ground = Ground::new();
    let asked = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&asked);
    let body = ground.held.body.clone();
    let server = Server::start(move |request| {
        let mut reply = Reply::part(request, &body, "\"v1\"");
        reply.cut = Some(4_000);
        if 0 < request.before {
            // Nothing comes, and nothing would end it for 30 s.
            ends.store(true, Ordering::Relaxed);
            (reply.cut, reply.hold) = (Some(0), true);
        }
        reply
    });
    let client = Client::new(settings(&server.address), asked).unwrap();
    ground.check_fails(&client, &["stopped by a signal", "is kept"]);
    assert_eq!(fs::read(ground.part()).unwrap(), ground.held.body[..4_000]);
}

#[test]
fn small_files_are_compared_with_the_id_that_git_gives_them() {
    let mut ground = Ground::new();
    ground.held = Held::small(b"hello\n");
    // As `git hash-object` prints it.
    assert_eq!(ground.held.oid, "ce013625030ba8dba906f756967f9e9ca394464a");
    ground.check(&serve(&ground.held, |_, honest| honest), &[None]);
    fs::remove_file(ground.place()).unwrap();
    ground.held = Held::small(b"");
    ground.check(&serve(&ground.held, |_, honest| honest), &[None]);
}
