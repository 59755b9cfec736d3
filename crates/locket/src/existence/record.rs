//! The record of a holder: which process it is, on which host. As Python's filelock writes it (`SoftFileLock` of 3.22 to 4.2):
//! pid, host and start token, each on a line of its own. Others judge by it whether the holder is alive, so it has to be exact.

use std::fmt::Write;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::LazyLock;

use crate::sys::{self, Process, Start};

/// The longest name of a host that the format allows.
const HOST_LIMIT: usize = 253;
/// Stands before the number of the pid namespace in the name of the host.
const NAMESPACE: &str = "?pidns-";

/// Which process holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub pid: u32,
    /// The host, in the form of the record.
    pub host: String,
    pub start: Option<Start>,
}

/// What a record says of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process is alive.
    Alive,
    /// The process is dead.
    Dead,
    /// The process is on another host, or in another pid namespace: it cannot be told.
    Unknown,
}

/// The name of this host, in the form of the record.
static HOST: LazyLock<String> = LazyLock::new(|| encode_host(&sys::host_name(), sys::pid_namespace()));

/// Returns a number that tells this host and pid namespace from others.
pub(crate) fn host_key() -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(&*HOST)
}

impl Record {
    /// Returns the record of this process.
    pub(crate) fn own() -> Self {
        // A child of fork(2) has another pid, so that is asked each time.
        static START: LazyLock<Option<Start>> = LazyLock::new(sys::own_start);
        // A name that is cut needs a digest of the rest: such a host is one that nobody knows, which is safe.
        Self { pid: std::process::id(), host: HOST.clone(), start: *START }
    }

    /// Returns the record in these bytes, or `None` if they are none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let mut lines = text.split('\n');
        let (pid, host, start) = (lines.next()?, lines.next()?, lines.next());
        if lines.next().is_some() || host.is_empty() || !host.bytes().all(|byte| (0x21..0x7f).contains(&byte))
        {
            return None;
        }
        let start = match start {
            Some(token) => Some(parse_word(token).or_else(|| parse_token(token))?),
            None => None,
        };
        Some(Self { pid: parse_pid(pid)?, host: host.to_owned(), start })
    }

    /// Returns the record in the target of a symbolic link, whose fields are separated by `|`.
    pub(crate) fn parse_target(target: &[u8]) -> Option<Self> {
        let fields = target.strip_prefix(b"locket|")?;
        let mut lines: Vec<u8> = fields.iter().map(|&byte| if byte == b'|' { b'\n' } else { byte }).collect();
        lines.push(b'\n');
        Self::parse(&lines)
    }

    /// Returns the bytes of the record.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\n{}\n", self.pid, self.host);
        if let Some(start) = self.start {
            text.push_str(&token(start));
            text.push('\n');
        }
        text.into_bytes()
    }

    /// Returns the record as our mark has it: short, so that it fits into the inode (on ext4, 64 bytes do).
    pub(crate) fn to_mark(&self) -> Vec<u8> {
        let start = self.start.map(|start| format!("{:x}.{:x}\n", start.boot_word(), start.started));
        format!("{}\n{}\n{}", self.pid, self.host, start.unwrap_or_default()).into_bytes()
    }

    /// Returns the record as the target of a symbolic link. A host name has no `|` there.
    pub(crate) fn to_target(&self) -> Vec<u8> {
        let start = self.start.map(|start| format!("|{}", token(start))).unwrap_or_default();
        format!("locket|{}|{}{start}", self.pid, self.host.replace('|', "?7c")).into_bytes()
    }

    /// Returns true if the process is of this host and pid namespace.
    pub(crate) fn is_of_this_host(&self) -> bool {
        self.host == *HOST
    }

    /// Returns the name of the host for people, if it is not this one.
    pub(crate) fn other_host(&self) -> Option<String> {
        (!self.is_of_this_host()).then(|| self.host.clone())
    }

    /// Returns what has become of the process.
    pub(crate) fn fate(&self) -> Fate {
        if !self.is_of_this_host() {
            return Fate::Unknown;
        }
        let is_same = match sys::process(self.pid) {
            Process::Dead => false,
            Process::Alive(now) => match (now, self.start) {
                (Some(now), Some(start)) => now.may_be(&start),
                // It cannot be told from another process with the same pid.
                _ => true,
            },
        };
        // A bare name may have been recorded in a container that shares it, by a program that knows no namespaces.
        if is_same || !self.host.contains(NAMESPACE) && sys::runs_elsewhere(self.pid, self.start) {
            Fate::Alive
        } else {
            Fate::Dead
        }
    }
}

/// Returns a pid, as it stands in a record.
pub(crate) fn parse_pid(text: &str) -> Option<u32> {
    let is_plain = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&pid| is_plain && pid > 0)
}

/// Returns the name of a host in the form of the record: printable ASCII without blanks, other bytes and `?` itself as `?xx`.
fn encode_host(name: &[u8], pid_namespace: Option<u64>) -> String {
    let mut text = String::new();
    for &byte in name {
        if (0x21..0x7f).contains(&byte) && byte != b'?' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "?{byte:02x}");
        }
    }
    if let Some(number) = pid_namespace {
        let _ = write!(text, "{NAMESPACE}{number:x}");
    }
    text.truncate(HOST_LIMIT);
    if text.is_empty() { "?".to_owned() } else { text }
}

/// Returns the start token: a decimal number of up to 192 bits, the boot above the time after it.
#[expect(clippy::cast_possible_truncation, reason = "words of 64 bits")]
fn token(start: Start) -> String {
    // Digits of nine decimal places, the lowest first.
    const BASE: u128 = 1_000_000_000;
    let mut words = [(start.boot >> 64) as u64, start.boot as u64, start.started];
    let mut digits = Vec::new();
    while words != [0; 3] || digits.is_empty() {
        let mut rest = 0;
        for word in &mut words {
            let value = rest << 64 | u128::from(*word);
            *word = (value / BASE) as u64;
            rest = value % BASE;
        }
        digits.push(rest);
    }
    let mut text = digits.pop().unwrap_or(0).to_string();
    digits.iter().rev().for_each(|digit| {
        let _ = write!(text, "{digit:09}");
    });
    text
}

/// Returns the start that stands in a mark.
fn parse_word(text: &str) -> Option<Start> {
    let (boot, started) = text.split_once('.')?;
    let [boot, started] = [boot, started].map(|word| u64::from_str_radix(word, 16).ok());
    Some(Start { boot: boot?.into(), started: started? })
}

/// Returns what a start token says, or `None` if it is none, or longer than any.
#[expect(clippy::cast_possible_truncation, reason = "words of 64 bits")]
fn parse_token(text: &str) -> Option<Start> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut words = [0u64; 3];
    for digit in text.bytes().map(|byte| u128::from(byte - b'0')) {
        let mut carry = digit;
        for word in words.iter_mut().rev() {
            let value = u128::from(*word) * 10 + carry;
            *word = value as u64;
            carry = value >> 64;
        }
        if carry > 0 {
            return None;
        }
    }
    let [high, low, started] = words;
    Some(Start { boot: u128::from(high) << 64 | u128::from(low), started })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that filelock 4.2.11 wrote.
    const SEEN: &[u8] = b"32301\nvm\n895344721692640359057010752083941201977463250887691656281\n";

    #[test]
    fn a_record_of_filelock_is_read_and_written_as_it_is() {
        let record = Record::parse(SEEN).unwrap();
        assert_eq!((record.pid, &*record.host), (32301, "vm"));
        assert_eq!(record.to_bytes(), SEEN);
        let without = Record { start: None, ..record };
        assert_eq!(without.to_bytes(), b"32301\nvm\n");
        assert_eq!(Record::parse(b"32301\nvm\n"), Some(without));
    }

    #[test]
    fn a_token_has_the_boot_above_64_bits_of_time() {
        for (boot, started, text) in [
            (0, 0, "0"),
            (0, 4711, "4711"),
            (1, 0, "18446744073709551616"),
            (1, 1_000_000_000, "18446744074709551616"),
            (u128::MAX, u64::MAX, "6277101735386680763835789423207666416102355444464034512895"),
        ] {
            assert_eq!(token(Start { boot, started }), text);
            assert_eq!(parse_token(text), Some(Start { boot, started }));
        }
        assert_eq!(parse_token("6277101735386680763835789423207666416102355444464034512896"), None);
        for text in ["", "-1", "+1", "1 ", "0x1"] {
            assert_eq!(parse_token(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for bytes in [
            &b""[..],
            b"1",
            b"1\n",
            b"1\nvm",
            b"0\nvm\n",
            b"-1\nvm\n",
            b"x\nvm\n",
            b"1\n\n",
            b"1\nv m\n",
            b"1\nvm\n2\n3\n",
            b"1\nvm\nx\n",
            b"99999999999\nvm\n",
            b"\xff\nvm\n",
            b"1\nvm\n\n",
        ] {
            assert_eq!(Record::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_name_of_a_host_has_no_byte_that_would_end_a_line_and_names_the_pid_namespace() {
        assert_eq!(encode_host(b"vm", None), "vm");
        assert_eq!(encode_host(b"a b?c\n\xff", None), "a?20b?3fc?0a?ff");
        assert_eq!(encode_host(b"vm", Some(0xF000_0001)), "vm?pidns-f0000001");
        assert_eq!(encode_host(b"", None), "?");
    }

    #[test]
    fn a_record_survives_in_the_target_of_a_symbolic_link() {
        let own = Record::own();
        assert_eq!(Record::parse_target(&own.to_target()), Some(own));
        assert_eq!(Record::parse_target(b"vm-777e6b80.29252-486333038136"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_alive_another_start_is_another_process_and_other_hosts_are_unknown() {
        let own = Record::own();
        assert_eq!(own.fate(), Fate::Alive);
        assert_eq!(Record { start: None, ..own.clone() }.fate(), Fate::Alive);
        let start = own.start.map(|start| Start { started: start.started + 1, ..start });
        assert_eq!(Record { start, ..own.clone() }.fate(), Fate::Dead);
        let start = own.start.map(|start| Start { boot: 0, ..start });
        assert_eq!(Record { start, ..own.clone() }.fate(), Fate::Alive, "the boot is unknown");
        assert_eq!(Record { host: "elsewhere".into(), ..own.clone() }.fate(), Fate::Unknown);
        assert_eq!(Record { pid: u32::MAX >> 1, ..own }.fate(), Fate::Dead);
    }
}
