//! The one question of a DNS packet and the answer that there is no such name (RFC 1035). It knows nothing of sockets.

/// The resolver's port.
pub(super) const PORT: u16 = 53;
/// The fixed head of a packet.
const HEAD_BYTES: usize = 12;
/// A name with its dots (RFC 1035, 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// A question that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'p> {
    /// The name, in lower case; bytes that have no place in a request's address are percent-encoded.
    pub(super) name: String,
    /// The packet up to the end of the question.
    packet: &'p [u8],
}

impl<'p> Question<'p> {
    /// Reads a packet that asks for one name; anything else is `None`.
    pub(super) fn parse(packet: &'p [u8]) -> Option<Self> {
        let is_question = packet.get(2)? & 0b1111_1000 == 0;
        let asks_one = packet.get(4..6)? == [0, 1];
        if !is_question || !asks_one {
            return None;
        }
        let mut at = HEAD_BYTES;
        let mut name = String::new();
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            match length {
                0 => break,
                // A question has no name before it to point at.
                64.. => return None,
                _ => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    push_label(&mut name, packet.get(at..at + length)?);
                    at += length;
                }
            }
            if at > HEAD_BYTES + NAME_BYTES_MAX + 2 {
                return None;
            }
        }
        // Type and class follow the name.
        Some(Self { name, packet: packet.get(..at + 4)? })
    }

    /// The packet that says so: NXDOMAIN, the question repeated, nothing else.
    pub(super) fn no_such_name(&self) -> Vec<u8> {
        const RESPONSE: u8 = 0b1000_0000;
        const RECURSION_DESIRED: u8 = 1;
        const RECURSION_AVAILABLE: u8 = 0b1000_0000;
        const NXDOMAIN: u8 = 3;
        let mut answer = self.packet.to_vec();
        answer[2] = RESPONSE | (self.packet[2] & RECURSION_DESIRED);
        answer[3] = RECURSION_AVAILABLE | NXDOMAIN;
        // No answers, authorities or additional records, whatever the question had.
        answer[6..HEAD_BYTES].fill(0);
        answer
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(*byte)),
            b'A'..=b'Z' => name.push(char::from(byte.to_ascii_lowercase())),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(labels: &[&[u8]]) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in labels {
            packet.push(u8::try_from(label.len()).unwrap());
            packet.extend_from_slice(label);
        }
        packet.extend_from_slice(&[0, 0, 1, 0, 1]);
        packet
    }

    #[test]
    fn a_name_is_read_in_lower_case() {
        let packet = packet(&[b"Registry", b"npmjs", b"ORG"]);
        assert_eq!(Question::parse(&packet).unwrap().name, "registry.npmjs.org");
    }

    #[test]
    fn a_name_cannot_break_out_of_the_request_that_tells_it() {
        let packet = packet(&[b"a b\r\nHost: x&y", b"c"]);
        let name = Question::parse(&packet).unwrap().name;
        assert_eq!(name, "a%20b%0D%0A%48ost%3A%20x%26y.c".replace("%48", "h"));
    }

    #[test]
    fn the_answer_repeats_the_question_and_says_no_such_name() {
        let mut asked = packet(&[b"a"]);
        let question_end = asked.len();
        asked.extend_from_slice(&[0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        let answer = Question::parse(&asked).unwrap().no_such_name();
        assert_eq!(answer.len(), question_end);
        assert_eq!(answer[..4], [0xab, 0xcd, 0x81, 0x83]);
        assert_eq!(answer[4..12], [0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer[12..], asked[12..question_end]);
    }

    #[test]
    fn what_is_no_plain_question_is_dropped() {
        let good = packet(&[b"a"]);
        for length in 0..good.len() {
            assert_eq!(Question::parse(&good[..length]), None, "cut at {length}");
        }
        let mut answer = good.clone();
        answer[2] = 0x81;
        assert_eq!(Question::parse(&answer), None);
        let mut pointer = good.clone();
        pointer[12] = 0xc0;
        assert_eq!(Question::parse(&pointer), None);
        let long: Vec<&[u8]> = vec![&[b'x'; 63]; 5];
        assert_eq!(Question::parse(&packet(&long)), None);
    }
}
