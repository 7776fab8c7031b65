//! Connections to mail servers: TCP, TLS from the first byte or after STARTTLS, never less than asked.
//!
//! Knows neither IMAP nor SMTP. A [`Dialer`] is made once, from the settings; each connection is one
//! call with a limit. Which failures heal by themselves says [`ConnectError::needs_human`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use schemars::JsonSchema;
use serde::Deserialize;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A peer that vanished without a word is noticed after this time and three probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// From the first byte.
    #[serde(alias = "tls")]
    Implicit,
    /// A plain greeting, then STARTTLS; a server without it is refused.
    StartTls,
    /// Not at all: loopback only.
    None,
}

/// Where a server is and how to know it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Roots that are trusted beside those of the system.
    pub roots: Vec<CertificateDer<'static>>,
    /// The name that the certificate must bear, if it is not the host's.
    pub server_name: Option<String>,
}

/// Reads the certificates of a PEM file.
pub fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("`{}` cannot be read: {error}", path.display());
    let roots = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    if roots.is_empty() {
        return Err(format!("`{}` holds no certificate", path.display()));
    }
    Ok(roots)
}

/// Is this host this machine? Only there may a connection go without TLS.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address now.
    #[error("cannot find the address of {host}")]
    Name {
        /// What was looked up.
        host: String,
        /// What the resolver said.
        #[source]
        cause: io::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {host}:{port}")]
    Tcp {
        /// Where.
        host: String,
        /// At which port.
        port: u16,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The line broke, or what answers does not speak TLS.
    #[error("the TLS handshake with {host}:{port} failed")]
    Tls {
        /// With whom.
        host: String,
        /// At which port.
        port: u16,
        /// What happened.
        #[source]
        cause: io::Error,
    },
    /// It is not who it should be: wrong name, unknown issuer, expired.
    #[error("the certificate of {host}:{port} is refused")]
    Certificate {
        /// Whose.
        host: String,
        /// At which port.
        port: u16,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// TLS cannot be set up on this side.
    #[error("TLS cannot be set up here")]
    Setup(#[source] rustls::Error),
    /// It took too long.
    #[error("no connection to {host}:{port} within {seconds} s")]
    Timeout {
        /// With whom.
        host: String,
        /// At which port.
        port: u16,
        /// The limit.
        seconds: u64,
    },
}

impl ConnectError {
    /// A certificate does not get better by trying again; everything else may.
    #[must_use]
    pub const fn needs_human(&self) -> bool {
        matches!(self, Self::Certificate { .. } | Self::Setup(_))
    }
}

/// Connects to one server.
#[derive(Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    name: ServerName<'static>,
    /// Made at the first connection: it reads the system's roots.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Dialer {
    /// Checks the name; connects to nothing.
    pub fn new(endpoint: Endpoint) -> Result<Self, String> {
        let name = endpoint.server_name.as_ref().unwrap_or(&endpoint.host);
        let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|_| format!("`{name}` is neither a host name nor an address"))?;
        Ok(Self { endpoint, name, config: OnceLock::new() })
    }

    /// Where it connects to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A connection that is encrypted if the mode is [`TlsMode::Implicit`], and otherwise plain. For
    /// [`TlsMode::StartTls`] the caller speaks the plain part and then calls [`Self::upgrade`].
    pub async fn connect(&self, limit: Duration) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + limit;
        let tcp = timeout_at(deadline, self.connect_tcp(deadline))
            .await
            .map_err(|_| self.too_slow(limit))??;
        let plain = Connection::Plain(tcp);
        match self.endpoint.tls {
            TlsMode::Implicit => {
                self.upgrade(plain, deadline.saturating_duration_since(Instant::now())).await
            }
            TlsMode::StartTls | TlsMode::None => Ok(plain),
        }
    }

    /// The TLS handshake on a plain connection.
    ///
    /// The caller must have read no byte beyond the server's go-ahead. Bytes that came in before our side
    /// of the handshake was sent are an injection, and the connection is refused.
    pub async fn upgrade(
        &self,
        connection: Connection,
        limit: Duration,
    ) -> Result<Connection, ConnectError> {
        let Connection::Plain(tcp) = connection else {
            return Err(self.tls_error(io::Error::other("the connection is already encrypted")));
        };
        if waits_unread(&tcp) {
            let injected = "the server sent plain text before the TLS handshake";
            return Err(self.tls_error(io::Error::new(io::ErrorKind::InvalidData, injected)));
        }
        let connector = TlsConnector::from(self.config()?);
        let handshake = connector.connect(self.name.clone(), tcp);
        match tokio::time::timeout(limit, handshake).await {
            Err(_) => Err(self.too_slow(limit)),
            Ok(Err(cause)) => Err(self.tls_error(cause)),
            Ok(Ok(stream)) => Ok(Connection::Tls(Box::new(stream))),
        }
    }

    /// Tries each address of the host, each within its share of the time that is left.
    async fn connect_tcp(&self, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let host = self.endpoint.host.trim_start_matches('[').trim_end_matches(']');
        let port = self.endpoint.port;
        let unknown = |cause| ConnectError::Name { host: host.to_owned(), cause };
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(unknown)?.collect();
        let mut cause = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for (index, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => match tune(&stream) {
                    Ok(()) => return Ok(stream),
                    Err(error) => cause = error,
                },
                Ok(Err(error)) => cause = error,
                Err(_) => cause = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(ConnectError::Tcp { host: host.to_owned(), port, cause })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            Verifier::new_with_extra_roots(self.endpoint.roots.clone(), Arc::clone(&provider))
                .map_err(ConnectError::Setup)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ConnectError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    fn tls_error(&self, cause: io::Error) -> ConnectError {
        let Endpoint { host, port, .. } = self.endpoint.clone();
        if is_about_certificate(&cause) {
            ConnectError::Certificate { host, port, cause }
        } else {
            ConnectError::Tls { host, port, cause }
        }
    }

    fn too_slow(&self, limit: Duration) -> ConnectError {
        let Endpoint { host, port, .. } = self.endpoint.clone();
        ConnectError::Timeout { host, port, seconds: limit.as_secs() }
    }
}

fn is_about_certificate(error: &io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// Small writes leave at once, and a peer that vanished is noticed.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive.with_retries(3))
}

/// Is there something to read that nobody has read?
fn waits_unread(stream: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    SockRef::from(stream).peek(&mut byte).is_ok_and(|count| count > 0)
}

/// A connection to a mail server.
pub enum Connection {
    /// Readable by everybody on the way.
    Plain(TcpStream),
    /// Encrypted, and the server is who it should be.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Is it encrypted?
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The other side's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_encrypted() { "Connection(encrypted)" } else { "Connection(plain)" })
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["mail.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
