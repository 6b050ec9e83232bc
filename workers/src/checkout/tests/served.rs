//! A plain file server on a loopback port: git's "dumb" protocol over a bare repository, and peers that misbehave.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

/// Serves the files below a folder until the process ends.
pub(crate) struct Served {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Served {
    pub(crate) fn files(folder: &Path) -> Self {
        Self::answering({
            let folder = folder.to_owned();
            move |path| file(&folder, path)
        })
    }

    /// Sends whoever asks below `/old` on to the same path below `/new`.
    pub(crate) fn moved(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self::answering(move |path| match path.strip_prefix("/old") {
            Some(rest) => on_to(&format!("/new{rest}")),
            None => file(&folder, path.strip_prefix("/new").unwrap_or(path)),
        })
    }

    /// Sends whoever asks on to the same path behind another address.
    pub(crate) fn leading_to(address: &str) -> Self {
        let address = address.to_owned();
        Self::answering(move |path| on_to(&format!("{address}{path}")))
    }

    /// Sends whoever asks on to the same path once more.
    pub(crate) fn going_round() -> Self {
        Self::answering(on_to)
    }

    fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let path = request(&stream);
                shared.lock().unwrap().push(path.clone());
                // A client that has gone away has what it wanted.
                let _gone = stream.write_all(&answer(&path));
            }
        });
        Self { port, asked }
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn on_to(place: &str) -> Vec<u8> {
    let head = "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nConnection: close\r\n";
    format!("{head}Location: {place}\r\n\r\n").into_bytes()
}

fn file(folder: &Path, path: &str) -> Vec<u8> {
    let path = path.split('?').next().unwrap().trim_start_matches('/');
    match std::fs::read(folder.join(path)) {
        Ok(bytes) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            [head.into_bytes(), bytes].concat()
        }
        Err(_) => b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    }
}

fn request(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    while lines.next().is_some_and(|line| !line.is_empty()) {}
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A peer that takes a connection and never answers. It tells when somebody has come and when they have gone.
pub(crate) struct Silent {
    port: u16,
    came: Receiver<()>,
    went: Receiver<()>,
}

impl Silent {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (coming, came) = channel();
        let (going, went) = channel();
        thread::spawn(move || {
            // The first one only looks where the address leads; git is the second.
            let (mut first, _) = listener.accept().unwrap();
            request(&first);
            let none = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            first.write_all(none).unwrap();
            drop(first);
            let (mut stream, _) = listener.accept().unwrap();
            coming.send(()).unwrap();
            let mut buffer = [0; 1024];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
            going.send(()).unwrap();
        });
        Self { port, came, went }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/x.git", self.port)
    }

    /// Waits until somebody has connected.
    pub(crate) fn wait_until_asked(&self) {
        self.came.recv_timeout(Duration::from_secs(60)).expect("somebody connects");
    }

    /// Waits until every process that holds the connection has ended, and tells whether that came soon enough.
    pub(crate) fn is_left_within(&self, time: Duration) -> bool {
        self.went.recv_timeout(time).is_ok()
    }
}

/// A folder with a bare copy of a repository below `name`.
pub(crate) fn bare(made: &super::Made, name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    made.mirror_to(&path);
    (folder, path)
}
