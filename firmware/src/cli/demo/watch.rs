//! What the demo watches: the lights' pipe, and the output of both processes.
//!
//! One thread an input; lines come in, news go out. A thread ends with its input, or when nobody
//! takes its news.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::sync::mpsc::SyncSender;

use serde_json::Value;

use super::stage::News;

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}

/// Tells each change of a light.
pub(super) fn lights(leds: File, news: SyncSender<News>) -> io::Result<()> {
    spawn("lights", move || {
        for line in BufReader::new(leds).lines().map_while(Result::ok) {
            if let Some((name, state)) = line.split_once(' ')
                && news
                    .send(News::Light(name.to_owned(), state == "1"))
                    .is_err()
            {
                return;
            }
        }
    })
}

/// Tells what came out of the serial line.
pub(super) fn monitor(
    output: impl io::BufRead + Send + 'static,
    news: SyncSender<News>,
) -> io::Result<()> {
    spawn("monitor", move || {
        for object in objects(output) {
            if object["event"] == "outcome" {
                let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
                let outcome = News::Outcome {
                    text: text("text"),
                    result: text("result"),
                };
                if news.send(outcome).is_err() {
                    return;
                }
            }
        }
    })
}

/// The appliance's own events tell when it is ready, and when it has ended.
pub(super) fn appliance(
    output: impl io::BufRead + Send + 'static,
    news: SyncSender<News>,
) -> io::Result<()> {
    spawn("appliance", move || {
        for object in objects(output) {
            if object["event"] == "worker_ready" && news.send(News::Ready).is_err() {
                return;
            }
        }
        // The demo may be gone already.
        news.send(News::Ended).ok();
    })
}

fn objects(output: impl io::BufRead) -> impl Iterator<Item = Value> {
    output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
}
