//! Messages between the worker and its own program at the sandbox's door, over one socket pair: one message is one
//! packet of JSON, with at most one descriptor beside it. It knows nothing of what the messages say.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One message. Below the kernel's default send buffer of 208 KiB, which a packet has to fit into.
const MESSAGE_BYTES_MAX: usize = 160 * 1024;

/// A pair of connected sockets that keep message boundaries; neither survives an exec by itself.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message.
pub(super) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    descriptor: Option<&OwnedFd>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::ArgumentListTooLong, "a message is too long"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.map(AsFd::as_fd);
    if let Some(descriptor) = &descriptors {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(descriptor)));
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message; `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(socket.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(ErrorKind::InvalidData, "a message was cut"));
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptor = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.into_iter().next();
        }
    }
    Ok(Some((serde_json::from_slice(&bytes[..received.bytes])?, descriptor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptor() {
        let (near, far) = pair().expect("sockets can be made");
        let (_, passed) = pair().expect("sockets can be made");
        send(&near, &"hello", Some(&passed)).expect("it is sent");
        let (text, descriptor) = receive::<String>(&far).expect("it is read").expect("it is there");
        assert_eq!(text, "hello");
        assert!(descriptor.is_some());
    }

    #[test]
    fn the_end_of_the_other_side_is_told() {
        let (near, far) = pair().expect("sockets can be made");
        drop(near);
        assert!(receive::<String>(&far).expect("it is read").is_none());
    }

    #[test]
    fn a_message_that_would_be_cut_is_refused() {
        let (near, _far) = pair().expect("sockets can be made");
        let error = send(&near, &"x".repeat(MESSAGE_BYTES_MAX), None).expect_err("it is too long");
        assert_eq!(error.kind(), ErrorKind::ArgumentListTooLong);
    }
}
