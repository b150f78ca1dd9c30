//! Tests of the monitor's way back: what it sends.
//!
//! The port is a link in memory.

use std::io::Read as _;

use pressel_hal::sim::MemoryLink;
use pressel_wire::Decoder;
use pressel_wire::limits::FRAME_BYTES_MAX;

use super::*;

fn port_of(link: MemoryLink) -> Port {
    Port::with("memory", 115_200, Box::new(link))
}

#[test]
fn each_command_is_sent_as_its_message() {
    for (command, expected) in [
        (HostCommand::Status, HostMessage::GetStatus),
        (HostCommand::PttDown, HostMessage::PttDown),
        (HostCommand::PttUp, HostMessage::PttUp),
        (HostCommand::Cancel, HostMessage::Cancel),
        (HostCommand::MuteOn, HostMessage::Mute(true)),
        (HostCommand::MuteOff, HostMessage::Mute(false)),
    ] {
        let (link, mut peer) = MemoryLink::pair(4_096).unwrap();
        port_of(link).transmit(&message(command)).unwrap();
        let mut bytes = [0; FRAME_BYTES_MAX];
        let count = peer.stream.read(&mut bytes).unwrap();
        let mut decoder = Decoder::new();
        let heard: Vec<HostMessage> = decoder.push(&bytes[..count]).flatten().collect();
        assert_eq!(heard, [expected]);
    }
}

#[test]
fn port_that_is_gone_is_an_error() {
    let (link, peer) = MemoryLink::pair(4_096).unwrap();
    drop(peer);
    assert!(port_of(link).transmit(&HostMessage::GetStatus).is_err());
}
