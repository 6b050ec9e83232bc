//! The only ways out of the sandbox: connections to 127.0.0.1:4873 are carried to the step's socket byte by byte, and
//! each name that is asked of the resolver becomes a request there. Who listens on that socket decides.

use std::collections::HashSet;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixStream};

use super::bwrap::INSIDE_SOCKET;
use super::{DNS_REQUEST_PATH, dns};

/// The registry's port inside.
pub(super) const PORT: u16 = 4873;
/// Connections at one time; npm opens 15, pnpm some 60.
const CONNECTIONS_MAX: usize = 512;
/// Names that are told; a build that asks for more is making them up.
const NAMES_MAX: usize = 10_000;
/// How long the answer to a told name is waited for: the build's own question waits as long.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// Serves both until the process ends.
pub(super) fn serve(listener: TcpListener, resolver: Option<UdpSocket>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        if let Some(resolver) = resolver {
            resolver.set_nonblocking(true)?;
            tokio::spawn(answer_names(tokio::net::UdpSocket::from_std(resolver)?));
        }
        let room = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place = std::sync::Arc::clone(&room).acquire_owned().await;
            // A connection that was gone before it was accepted is the build's own affair.
            let Ok((connection, _)) = listener.accept().await else { continue };
            tokio::spawn(async move {
                // Either side may hang up; the other one sees it.
                let _hung_up = carry(connection).await;
                drop(place);
            });
        }
    })
}

async fn carry(mut connection: TcpStream) -> io::Result<()> {
    let mut socket = UnixStream::connect(INSIDE_SOCKET).await?;
    copy_bidirectional(&mut connection, &mut socket).await?;
    Ok(())
}

/// Answers every question with "no such name", after telling it, each name once.
async fn answer_names(resolver: tokio::net::UdpSocket) {
    let mut told = HashSet::new();
    let mut packet = [0; 1500];
    loop {
        let Ok((bytes, asker)) = resolver.recv_from(&mut packet).await else { continue };
        let Some(question) = dns::Question::parse(&packet[..bytes]) else { continue };
        if told.len() < NAMES_MAX && told.insert(question.name.clone()) {
            // Where nobody listens it goes untold; the name stays unknown all the same.
            let _untold = tokio::time::timeout(TOLD_WITHIN, tell(&question.name)).await;
        }
        // An asker that did not wait does without.
        let _gone = resolver.send_to(&question.no_such_name(), asker).await;
    }
}

async fn tell(name: &str) -> io::Result<()> {
    let mut socket = UnixStream::connect(INSIDE_SOCKET).await?;
    let request = format!(
        "GET {DNS_REQUEST_PATH}?name={name} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(())
}
