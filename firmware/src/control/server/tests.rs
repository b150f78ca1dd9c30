//! Clients of every kind against a server turn by turn; time is a number.
//!
//! Local sockets hand over at once, so nothing here waits.

use std::net::Shutdown;
use std::path::PathBuf;

use crossbeam_channel::{Sender, bounded};

use super::*;
use crate::jobs::{JobInfo, JobRequest};

/// Answers with the path of the request; jobs are answered by the test.
#[derive(Default)]
struct TestDesk {
    asked: Vec<Request>,
    jobs: Option<Sender<JobAnswer>>,
}

impl Desk for TestDesk {
    fn reply(&mut self, request: Request) -> Reply {
        self.asked.push(request.clone());
        let (jobs, answer) = bounded(1);
        self.jobs = Some(jobs);
        match request {
            Request::Status {} => Reply::Status(Box::default(), answer),
            Request::Jobs(JobRequest::Cancel { .. }) => {
                // An answer that no socket takes at once.
                Reply::Now(Answer::Error("x".repeat(4_000_000)))
            }
            Request::Jobs(request) => Reply::Jobs(answer, request.late()),
        }
    }
}

struct Rig {
    server: Server,
    desk: TestDesk,
    path: PathBuf,
    now: Instant,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            server: Server::new(listener),
            desk: TestDesk::default(),
            path,
            now: Instant::now(),
            _folder: folder,
        }
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    }

    /// Lets time pass and does a turn.
    fn turn(&mut self, pass_ms: u64) {
        self.now += Duration::from_millis(pass_ms);
        self.server.turn(self.now, &mut self.desk);
    }
}

/// Returns what a client can read, and whether that was all.
fn heard(client: &mut UnixStream) -> (String, bool) {
    let mut bytes = Vec::new();
    let is_over = match client.read_to_end(&mut bytes) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    (String::from_utf8(bytes).unwrap(), is_over)
}

const LIST: &[u8] = b"{\"jobs\":\"list\"}\n";

#[test]
fn request_in_pieces_is_answered_and_the_client_let_go() {
    let mut rig = Rig::new();
    let mut client = rig.client();
    for byte in LIST {
        client.write_all(&[*byte]).unwrap();
        assert_eq!(heard(&mut client), (String::new(), false));
        rig.turn(10);
    }
    assert_eq!(heard(&mut client), (String::new(), false));
    rig.desk.jobs.take().unwrap().send(Ok(Vec::new())).unwrap();
    rig.turn(10);
    assert_eq!(heard(&mut client), ("{\"jobs\":[]}\n".to_owned(), true));
    assert_eq!(rig.desk.asked, [Request::Jobs(JobRequest::List)]);
}

#[test]
fn client_that_has_said_all_still_hears_the_answer() {
    let mut rig = Rig::new();
    // As `printf | socat` does: no line feed, but the end.
    let mut client = rig.client();
    client.write_all(br#"{"status":{}}"#).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    rig.turn(0);
    let job = JobInfo {
        number: 1,
        path: PathBuf::from("/a.wav"),
        state: "running".to_owned(),
        percent: 1,
        left_s: None,
        duration_s: None,
        why: None,
    };
    rig.desk.jobs.take().unwrap().send(Ok(vec![job])).unwrap();
    rig.turn(0);
    let (line, is_over) = heard(&mut client);
    let Answer::Status(status) = serde_json::from_str(&line).unwrap() else {
        panic!("{line}")
    };
    assert_eq!(status.jobs.unwrap()["running"], 1);
    assert!(is_over && line.ends_with('\n'));
}

#[test]
fn garbage_is_answered_with_an_error() {
    let mut rig = Rig::new();
    for garbage in [
        b"\n".as_slice(),
        b"\x00\xff\xfe\n",
        b"{}\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = rig.client();
        client.write_all(garbage).unwrap();
        rig.turn(0);
        let (line, is_over) = heard(&mut client);
        assert!(line.starts_with("{\"error\":\"") && is_over, "{line}");
    }
    assert_eq!(rig.desk.asked, []);
    assert_eq!(rig.server.clients.len(), 0);
}

#[test]
fn client_that_hangs_is_let_go_after_two_seconds() {
    let mut rig = Rig::new();
    let (mut silent, mut half) = (rig.client(), rig.client());
    half.write_all(b"{\"jobs\"").unwrap();
    rig.turn(0);
    rig.turn(1_999);
    assert_eq!(rig.server.clients.len(), 2);
    rig.turn(1);
    assert_eq!(rig.server.clients.len(), 0);
    assert!(heard(&mut silent).1 && heard(&mut half).1);
    // One that does not take its answer, too; what it used for asking counts.
    let mut greedy = rig.client();
    rig.turn(0);
    greedy
        .write_all(br#"{"jobs":{"cancel":{"number":1}}}"#)
        .unwrap();
    greedy.shutdown(Shutdown::Write).unwrap();
    rig.turn(1_500);
    rig.turn(499);
    assert_eq!(rig.server.clients.len(), 1);
    rig.turn(1);
    assert_eq!(rig.server.clients.len(), 0);
}

#[test]
fn client_that_floods_is_cut_off() {
    let mut rig = Rig::new();
    let mut client = rig.client();
    while client.write(&[b' '; 4_096]).is_ok() {}
    rig.turn(0);
    let (line, is_over) = heard(&mut client);
    assert!(line.contains("too long") && is_over, "{line}");
    // The longest request that may be is read.
    let mut client = rig.client();
    let room = CONTROL_REQUEST_BYTES_MAX - LIST.len() + 1;
    client.write_all(&b" ".repeat(room)).unwrap();
    client.write_all(LIST).unwrap();
    rig.turn(0);
    assert_eq!(rig.desk.asked.len(), 1);
}

#[test]
fn client_that_goes_is_forgotten() {
    let mut rig = Rig::new();
    for said in [
        b"".as_slice(),
        b"{\"jo",
        LIST,
        b"{\"jobs\":{\"cancel\":{\"number\":1}}}\n",
    ] {
        let mut client = rig.client();
        client.write_all(said).unwrap();
        rig.turn(0);
        drop(client);
        if let Some(jobs) = rig.desk.jobs.take() {
            jobs.send(Ok(Vec::new())).ok();
        }
        rig.turn(0);
        assert_eq!(rig.server.clients.len(), 0, "{said:?}");
    }
}

#[test]
fn one_more_than_can_be_served_is_told_so_at_once() {
    let mut rig = Rig::new();
    let mut clients: Vec<_> = (0..CONTROL_CLIENTS_MAX).map(|_| rig.client()).collect();
    let mut more = rig.client();
    rig.turn(0);
    let (line, is_over) = heard(&mut more);
    assert!(
        line.starts_with("{\"busy\":\"too many") && is_over,
        "{line}"
    );
    // The others are served, and then there is room again.
    for client in &mut clients {
        client.write_all(b"\n").unwrap();
    }
    rig.turn(0);
    assert!(clients.iter_mut().all(|client| heard(client).1));
    let mut next = rig.client();
    next.write_all(b"\n").unwrap();
    rig.turn(0);
    assert!(heard(&mut next).0.contains("no request"));
}

#[test]
fn jobs_that_do_not_answer_hold_up_nobody() {
    let mut rig = Rig::new();
    let mut status = rig.client();
    status.write_all(b"{\"status\":{}}\n").unwrap();
    rig.turn(0);
    let _unanswered = rig.desk.jobs.take();
    let mut list = rig.client();
    list.write_all(LIST).unwrap();
    rig.turn(0);
    let mut fds = Few::<PollFd, 9>::new();
    let due = rig.server.wait_for(&mut fds).unwrap();
    assert!(due <= Instant::now() + ASK_AGAIN && fds.len() == 1);
    rig.turn(CONTROL_COUNT_MS);
    let (line, is_over) = heard(&mut status);
    assert!(line.contains("\"jobs\":null") && is_over, "{line}");
    assert_eq!(heard(&mut list), (String::new(), false));
    rig.turn(CONTROL_JOBS_MS);
    let (line, is_over) = heard(&mut list);
    assert!(
        line.starts_with("{\"late\":\"the jobs are busy") && is_over,
        "{line}"
    );
    assert!(line.contains("try again"), "{line}");
    // What changes something may be done later.
    let mut retry = rig.client();
    retry
        .write_all(b"{\"jobs\":{\"retry\":{\"number\":1}}}\n")
        .unwrap();
    rig.turn(0);
    let _unanswered = rig.desk.jobs.take();
    rig.turn(CONTROL_JOBS_MS);
    let (line, is_over) = heard(&mut retry);
    assert!(line.starts_with("{\"late\":") && is_over, "{line}");
    assert!(line.contains("may still be done"), "{line}");
    // A thread that has ended is known at once.
    let mut list = rig.client();
    list.write_all(LIST).unwrap();
    rig.turn(0);
    rig.desk.jobs = None;
    rig.turn(0);
    assert!(heard(&mut list).0.contains("error"));
}

#[test]
fn thousand_connections_leave_no_descriptor() {
    let mut rig = Rig::new();
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let ours = |rig: &Rig| rig.server.clients.len();
    let before = count();
    for number in 0..1_000 {
        let mut client = rig.client();
        match number % 4 {
            0 => client.write_all(LIST).unwrap(),
            1 => client.write_all(b"garbage\n").unwrap(),
            2 => drop(client),
            _ => client.write_all(b"{\"jobs").unwrap(),
        }
        rig.turn(1_000);
    }
    rig.turn(CONTROL_JOBS_MS);
    rig.turn(CONTROL_JOBS_MS);
    assert_eq!(ours(&rig), 0);
    // Other tests of this process open and close files meanwhile.
    assert!(count() < before + 500, "{before} {}", count());
}
