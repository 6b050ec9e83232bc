//! Attacks over the network: a build reaches the step's socket and nothing else, and what it asked for is recorded.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use countersign_worker::sandbox::StepEnding;
use libtest_mimic::Trial;

use crate::rig::Rig;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a request to the registry's address arrives at the step's socket", registry),
        trial("many requests at one time all arrive", many_requests),
        trial("a name that is asked is recorded and unknown", name),
        trial("a listener on the host's loopback is not reached", host_loopback),
        trial("a listener on the host's abstract socket is not reached", abstract_socket),
        trial("the host's other loopbacks are not reached", other_loopbacks),
        trial("shared memory of the host is not reached", shared_memory),
        trial("a build cannot take the place of the step's socket", socket_replaced),
    ]
}

const CONNECT: &str =
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => $ARGV[0], Timeout => 3)";

fn registry() {
    let mut rig = Rig::new();
    let outcome = rig.perl(
        "use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:4873') or die $!; \
         print $s \"GET /left-pad HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n\"; print <$s>;",
    );
    assert_eq!(outcome.ending, StepEnding::Exited(0));
    assert!(outcome.log.starts_with("HTTP/1.1 403 Forbidden\n"), "{}", outcome.log);
    assert!(outcome.log.ends_with("refused\n"), "{}", outcome.log);
    assert_eq!(rig.refuser.asked(), ["GET /left-pad HTTP/1.1"]);
}

fn many_requests() {
    let mut rig = Rig::new();
    let outcome = rig.perl(
        "use IO::Socket::INET; my @s = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1:4873') or die $! } 1..40; \
         for my $s (reverse @s) { print $s \"GET /x HTTP/1.1\\r\\n\\r\\n\" } \
         my $ok = grep { my $all = join '', <$_>; $all =~ /refused/ } @s; print \"$ok\\n\";",
    );
    assert_eq!(outcome.log, "40\n");
    assert_eq!(rig.refuser.asked().len(), 40);
}

fn name() {
    let mut rig = Rig::new();
    let outcome =
        rig.sh("getent ahosts Exfiltrate.example.com; echo code $?; getent hosts localhost");
    assert!(outcome.log.starts_with("code 2\n"), "{}", outcome.log);
    assert!(outcome.log.contains("localhost"), "{}", outcome.log);
    let recorded = "GET /-/countersign/dns?name=exfiltrate.example.com HTTP/1.1";
    assert_eq!(rig.refuser.asked(), [recorded]);
}

/// Whether anybody is waiting at a listener that does not block.
fn nobody_came<T>(accepted: std::io::Result<T>) -> bool {
    accepted.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn host_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("it can be set");
    let address = listener.local_addr().expect("it has one");
    let mut rig = Rig::new();
    let script = format!("{CONNECT}; exit($s ? 0 : 9)");
    let outcome = rig.run(&["/usr/bin/perl", "-e", &script, &address.to_string()]);
    assert_eq!(outcome.ending, StepEnding::Exited(9));
    assert!(nobody_came(listener.accept()));
    // The same from outside, so that a broken script is not taken for a wall.
    let reached = std::process::Command::new("/usr/bin/perl")
        .args(["-e", &script, &address.to_string()])
        .status()
        .expect("perl is there");
    assert!(reached.success());
}

fn abstract_socket() {
    let name = format!("countersign-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("it is a name");
    let listener = UnixListener::bind_addr(&address).expect("the name is free");
    listener.set_nonblocking(true).expect("it can be set");
    let script = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; \
                  exit(connect($s, pack('S a*', AF_UNIX, \"\\0$ARGV[0]\")) ? 0 : 9)";
    let outcome = Rig::new().run(&["/usr/bin/perl", "-e", script, &name]);
    assert_eq!(outcome.ending, StepEnding::Exited(9));
    assert!(nobody_came(listener.accept()));
    let reached = std::process::Command::new("/usr/bin/perl")
        .args(["-e", script, &name])
        .status()
        .expect("perl is there");
    assert!(reached.success());
}

/// IPv6, and what needs no connection.
fn other_loopbacks() {
    let listener = TcpListener::bind("[::1]:0").expect("a port is free");
    listener.set_nonblocking(true).expect("it can be set");
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    datagrams.set_nonblocking(true).expect("it can be set");
    let (six, four) = (
        listener.local_addr().expect("it has one").port().to_string(),
        datagrams.local_addr().expect("it has one").port().to_string(),
    );
    let script = "use Socket; socket(my $s, PF_INET6, SOCK_STREAM, 0) or die; \
                  connect($s, Socket::pack_sockaddr_in6($ARGV[0], Socket::inet_pton(AF_INET6, '::1'))); \
                  socket(my $u, PF_INET, SOCK_DGRAM, 0) or die; \
                  send($u, 'x', 0, pack_sockaddr_in($ARGV[1], inet_aton('127.0.0.1'))); print 'tried'";
    let outcome = Rig::new().run(&["/usr/bin/perl", "-e", script, &six, &four]);
    assert_eq!(outcome.log, "tried\n", "{:?}", outcome.ending);
    assert!(nobody_came(listener.accept()));
    assert!(nobody_came(datagrams.recv(&mut [0; 8])));
    let reached =
        std::process::Command::new("/usr/bin/perl").args(["-e", script, &six, &four]).status();
    assert!(reached.expect("perl is there").success());
    let came = || listener.accept().is_ok() && datagrams.recv(&mut [0; 8]).is_ok();
    assert!(crate::rig::within(Duration::from_secs(5), came), "so the script does what it says");
}

/// System V segments have a name for the whole machine.
fn shared_memory() {
    let key = format!("{}", 0x4353_0000_u32 + std::process::id() % 0x1_0000);
    let perl = |script: &str| {
        let run = std::process::Command::new("/usr/bin/perl").args(["-e", script, &key]).output();
        String::from_utf8(run.expect("perl is there").stdout).expect("it prints digits")
    };
    let made = perl("print shmget($ARGV[0], 100, 01666)");
    let find = "my $id = shmget($ARGV[0], 100, 0); print defined $id ? 'found' : 'none'";
    let outcome = Rig::new().run(&["/usr/bin/perl", "-e", find, &key]);
    let outside = perl(find);
    perl(&format!("shmctl({made}, 0, 0)"));
    assert_eq!((outcome.log.as_str(), outside.as_str()), ("none\n", "found"));
}

fn socket_replaced() {
    let mut rig = Rig::new();
    let outcome = rig.sh("rm -f /run/mirror.sock || mkdir /run/other || echo refused");
    assert!(outcome.log.ends_with("refused\n"), "{}", outcome.log);
    let socket = rig.folder.path().join("mirror.sock");
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    rig.limits.wall = Duration::from_secs(10);
    registry_answers(&mut rig);
}

fn registry_answers(rig: &mut Rig) {
    let script =
        format!("{CONNECT} or die $!; print $s \"GET /y HTTP/1.1\\r\\n\\r\\n\"; print <$s>;");
    let outcome = rig.run(&["/usr/bin/perl", "-e", &script, "127.0.0.1:4873"]);
    assert!(outcome.log.contains("403"), "{}", outcome.log);
}
