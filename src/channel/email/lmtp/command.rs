//! Command lines of LMTP, read strictly. Pure: fuzzed.

/// Longest command line with its CRLF. RFC 5321 asks for 512 and more for extensions.
pub const LINE_BYTES_MAX: usize = 2048;
/// Longest path within angle brackets (RFC 5321 section 4.5.3.1.3, widened for RFC 6531).
const PATH_BYTES_MAX: usize = 512;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `LHLO name`.
    Lhlo,
    /// `HELO` or `EHLO`: not here (RFC 2033 section 4.1).
    NotLmtp,
    /// `MAIL FROM:<path> parameters`.
    Mail {
        /// Empty: a bounce.
        from: Path,
        /// What `SIZE=` says.
        size: Option<u64>,
    },
    /// `RCPT TO:<path>`.
    Rcpt {
        /// To whom.
        to: Path,
    },
    /// `DATA`.
    Data,
    /// `RSET`.
    Rset,
    /// `NOOP`.
    Noop,
    /// `VRFY`.
    Vrfy,
    /// `QUIT`.
    Quit,
}

/// An address of the envelope; empty for `<>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Without angle brackets, source route and control characters.
    pub address: String,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadCommand {
    /// Nobody knows the word.
    Unknown,
    /// The word is known, what follows it is not understood.
    Syntax,
    /// The path is not one.
    Path,
    /// A parameter that we did not offer, or with a value that cannot be.
    Parameter,
}

/// Reads one line without its CRLF.
pub fn parse(line: &[u8]) -> Result<Command, BadCommand> {
    let line = std::str::from_utf8(line).map_err(|_| BadCommand::Syntax)?;
    // A line end inside a line is how commands are smuggled past a server that reads more loosely.
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err(BadCommand::Syntax);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match word.to_ascii_uppercase().as_str() {
        "LHLO" if rest.is_empty() => Err(BadCommand::Syntax),
        "LHLO" => Ok(Command::Lhlo),
        "HELO" | "EHLO" => Ok(Command::NotLmtp),
        "MAIL" => mail(rest),
        "RCPT" => rcpt(rest),
        "DATA" => alone(rest, Command::Data),
        "RSET" => alone(rest, Command::Rset),
        "QUIT" => alone(rest, Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        _ => Err(BadCommand::Unknown),
    }
}

fn alone(rest: &str, command: Command) -> Result<Command, BadCommand> {
    if rest.is_empty() { Ok(command) } else { Err(BadCommand::Syntax) }
}

fn mail(rest: &str) -> Result<Command, BadCommand> {
    let (from, parameters) = path(after_word(rest, "FROM:")?)?;
    let mut size = None;
    for parameter in parameters.split_ascii_whitespace() {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (key.to_ascii_uppercase().as_str(), value.to_ascii_uppercase().as_str()) {
            ("SIZE", digits) if digits.len() <= 20 => {
                size = Some(digits.parse().map_err(|_| BadCommand::Parameter)?);
            }
            ("BODY", "7BIT" | "8BITMIME") | ("SMTPUTF8", "") => {}
            _ => return Err(BadCommand::Parameter),
        }
    }
    Ok(Command::Mail { from, size })
}

fn rcpt(rest: &str) -> Result<Command, BadCommand> {
    let (to, parameters) = path(after_word(rest, "TO:")?)?;
    match (to.address.is_empty(), parameters.trim().is_empty()) {
        (true, _) => Err(BadCommand::Path),
        (_, false) => Err(BadCommand::Parameter),
        _ => Ok(Command::Rcpt { to }),
    }
}

/// What follows `FROM:` or `TO:`, in any case, with the blank that some put behind it.
fn after_word<'a>(rest: &'a str, word: &str) -> Result<&'a str, BadCommand> {
    let (given, after) = rest.split_at_checked(word.len()).ok_or(BadCommand::Syntax)?;
    given.eq_ignore_ascii_case(word).then(|| after.trim_start()).ok_or(BadCommand::Syntax)
}

/// `<path>` and what follows it.
fn path(text: &str) -> Result<(Path, &str), BadCommand> {
    let inner = text.strip_prefix('<').ok_or(BadCommand::Path)?;
    let end = end_of_path(inner).ok_or(BadCommand::Path)?;
    let (path, rest) = inner.split_at_checked(end).ok_or(BadCommand::Path)?;
    let rest = rest.strip_prefix('>').unwrap_or(rest);
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(BadCommand::Path);
    }
    let address = without_route(path);
    if address.len() > PATH_BYTES_MAX || address.contains(['\t', '\r', '\n']) {
        return Err(BadCommand::Path);
    }
    let quoted = address.starts_with('"');
    if !quoted && address.contains([' ', '<', '>', '"', ',', ';']) {
        return Err(BadCommand::Path);
    }
    let halves = address.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains(['"', ' '])
    });
    let bare_postmaster = address.eq_ignore_ascii_case("postmaster");
    if !address.is_empty() && !halves && !bare_postmaster {
        return Err(BadCommand::Path);
    }
    Ok((Path { address: address.to_owned() }, rest))
}

/// Where the `>` stands that is not within quotes.
fn end_of_path(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

/// `@one,@two:user@dom` is `user@dom` (RFC 5321 appendix C).
fn without_route(path: &str) -> &str {
    match path.split_once(':') {
        Some((_, address)) if path.starts_with('@') => address,
        _ => path,
    }
}
