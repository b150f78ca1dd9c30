//! What goes over the control socket: one line of JSON in, one line of JSON out, and the end.
//!
//! ```text
//! {"status":{}}                              {"status":{"version":"0.1.0", ...}}
//! {"jobs":"list"}                            {"jobs":[{"number":1,"path":"/a.wav", ...}]}
//! {"jobs":{"add":{"path":"/a.wav"}}}         {"jobs":[{"number":2, ...}]}
//! {"jobs":{"cancel":{"number":2}}}           {"jobs":[{"number":2,"state":"cancelled", ...}]}
//! {"jobs":{"retry":{"number":2}}}            {"error":"job 2 is running: ..."}
//!                                            {"busy":"too many clients at once: ..."}
//!                                            {"late":"the jobs are busy ..."}
//! ```
//!
//! `error` is a refusal; after `busy` nothing was done, and the same request may be sent again;
//! after `late` it may still be carried out.
//!
//! By hand: `echo '{"status":{}}' | socat - UNIX:/run/pressel/control`. A request has at most 8 KiB
//! and ends with a line feed, or with the end of what the client sends. The client has two seconds
//! for sending and reading together. Plain data; nothing happens here.

use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::jobs::{JobInfo, JobRequest};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// How the appliance is.
    Status {},
    /// About file jobs.
    Jobs(JobRequest),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// How the appliance is.
    Status(Box<Status>),
    /// The jobs that were asked for, or the one that was changed.
    Jobs(Vec<JobInfo>),
    /// Why not, and what to do, in one line.
    Error(String),
    /// Why nothing was done for now, in one line: the same request may be sent again.
    Busy(String),
    /// Why there is no answer yet, in one line: the request may still be carried out.
    Late(String),
}

impl Answer {
    /// Returns the line that goes out.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_else(|_| {
            // A path that is not UTF-8 cannot be told in JSON.
            br#"{"error":"a name in the answer is not UTF-8: rename that recording"}"#.to_vec()
        });
        line.push(b'\n');
        line
    }
}

/// Reads a request.
///
/// # Errors
/// The line to answer with.
pub fn parse(line: &[u8]) -> Result<Request, String> {
    serde_json::from_slice(line).map_err(|error| {
        // It repeats words of the request, which may hold what a terminal obeys.
        let error = error.to_string().replace(char::is_control, "\u{fffd}");
        format!(r#"this is no request ({error}): send one line as {{"status":{{}}}}"#)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(line: &str, expected: Option<Request>) {
        assert_eq!(parse(line.as_bytes()).ok(), expected, "{line}");
    }

    #[test]
    fn requests_are_read_as_they_are_documented() {
        check(r#"{"status":{}}"#, Some(Request::Status {}));
        check(r#"{"jobs":"list"}"#, Some(Request::Jobs(JobRequest::List)));
        check(
            r#" {"jobs": {"list": null}} "#,
            Some(Request::Jobs(JobRequest::List)),
        );
        let path = PathBuf::from("/a.wav");
        check(
            r#"{"jobs":{"add":{"path":"/a.wav"}}}"#,
            Some(Request::Jobs(JobRequest::Add { path })),
        );
        check(
            r#"{"jobs":{"cancel":{"number":2}}}"#,
            Some(Request::Jobs(JobRequest::Cancel { number: 2 })),
        );
        check(
            r#"{"jobs":{"retry":{"number":4294967295}}}"#,
            Some(Request::Jobs(JobRequest::Retry { number: u32::MAX })),
        );
    }

    #[test]
    fn garbage_is_no_request_and_the_answer_is_one_line() {
        let nested = "[".repeat(8_000);
        for line in [
            "",
            "status",
            "{}",
            r#"{"stat":{}}"#,
            r#"{"jobs":{"cancel":{"number":-1}}}"#,
            r#"{"jobs":{"cancel":{}}}"#,
            r#"{"status":{}} {"status":{}}"#,
            "\u{1}\u{2}",
            "{\"\u{9b}2J\":{}}",
            &nested,
        ] {
            let why = parse(line.as_bytes()).unwrap_err();
            let line = Answer::Error(why).line();
            let text = core::str::from_utf8(&line).unwrap();
            let text = text.strip_suffix('\n').unwrap();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
        assert!(parse(&[0xff, 0xfe, b'{']).is_err());
    }
}
