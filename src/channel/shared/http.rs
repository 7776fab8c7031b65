//! Calls to other HTTP servers: one client for all kinds, with limits, and a guard against being sent inside.
//!
//! There are two sorts of addresses. Those that an admin wrote into the settings (`api_url`, `reply_url`)
//! may lie anywhere, and they alone are given credentials. All others (an attachment's, a redirect's)
//! may come from anybody, so they reach the open internet only: the name is resolved once, what it resolves
//! to is judged, and the connection goes to exactly that.
//!
//! Knows no service. No error text holds a path, a query, a header or a body of ours: tokens stand there.

pub mod guard;
mod outcome;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::{Host, Url};

pub use outcome::{after, delivered, downloaded, for_download, for_pull, harmless, pulled};

use crate::channel::shared::tls::is_loopback;
use crate::model::Secret;

/// A connection that is not there after this time never was: what fails within it was not written.
const CONNECT_MAX: Duration = Duration::from_secs(8);
/// Shorter than the five seconds after which some servers close: a call that runs into a closing
/// connection ends without an answer, and then nobody knows whether it was done.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Longest address that anybody may name.
const URL_BYTES_MAX: usize = 8 * 1024;
/// Longest part of an answer that is shown to people, in characters.
const EXCERPT_CHARS_MAX: usize = 300;

/// Why an answer has no body: it will not have one the next time either.
const TOO_LONG: &str = "is too long";

/// Finds the addresses of a host name.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The client. Cheap to clone; connects to nothing until it is used.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    /// What the admin wrote: these may be inside, and get credentials.
    configured: Vec<url::Origin>,
    /// What the admin wrote too: these may be inside, and get none.
    bare: Vec<url::Origin>,
    lookup: Lookup,
    /// For configured addresses.
    anywhere: OnceLock<reqwest::Client>,
    /// For all others. Connections of the two are never mixed.
    outside: OnceLock<reqwest::Client>,
}

/// Who we are, to a server of the admin's choice.
#[derive(Clone)]
pub enum Credentials {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`: user and password.
    Basic(String, Secret),
}

/// What a request carries.
enum Content {
    Nothing,
    Bytes(Bytes, &'static str),
    Multipart(reqwest::multipart::Form),
}

/// One call. Has no `Debug`: its address may hold a token.
pub struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    credentials: Option<Credentials>,
    content: Content,
    time_max: Duration,
    answer_bytes_max: usize,
    redirects_max: u8,
}

impl Call {
    fn new(method: Method, url: Url, content: Content) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            credentials: None,
            content,
            time_max: Duration::from_secs(30),
            answer_bytes_max: 1024 * 1024,
            redirects_max: 0,
        }
    }

    /// Asks for something.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url, Content::Nothing)
    }

    /// Hands over bytes of a media type.
    #[must_use]
    pub fn post(url: Url, body: Bytes, media_type: &'static str) -> Self {
        Self::new(Method::POST, url, Content::Bytes(body, media_type))
    }

    /// Hands over a value as JSON.
    pub fn post_json(url: Url, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::post(url, serde_json::to_vec(body)?.into(), "application/json"))
    }

    /// Hands over fields as `application/x-www-form-urlencoded`; a name may come several times.
    #[must_use]
    pub fn post_form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::post(url, body.into(), "application/x-www-form-urlencoded")
    }

    /// Hands over parts, files among them.
    #[must_use]
    pub fn post_multipart(url: Url, form: reqwest::multipart::Form) -> Self {
        Self::new(Method::POST, url, Content::Multipart(form))
    }

    /// With another verb: `PUT`, `DELETE`, `PATCH`.
    #[must_use]
    pub fn verb(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Says who we are. Refused unless the address is one of the admin's.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// With a header. Credentials do not go here: headers follow a redirect.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// All of it, the answer's last byte included. Never less than ten seconds, so that what cannot be
    /// reached is told apart from what does not answer.
    #[must_use]
    pub fn time_max(mut self, limit: Duration) -> Self {
        self.time_max = limit;
        self
    }

    /// Largest answer, after decompression.
    #[must_use]
    pub const fn answer_bytes_max(mut self, limit: usize) -> Self {
        self.answer_bytes_max = limit;
        self
    }

    /// Follows so many redirects of a `GET`, each judged like an address from outside unless it is one of
    /// the admin's.
    #[must_use]
    pub const fn redirects_max(mut self, limit: u8) -> Self {
        self.redirects_max = limit;
        self
    }
}

/// Why there is no answer, by what it says about the call.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not sent, and it never will be: not an address that we call.
    #[error("{host} is not called: {why}")]
    Refused {
        /// Which host.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing of the call was written: no address, no connection, no trust.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Which host.
        host: String,
        /// What happened.
        why: String,
    },
    /// The call may have been read whole, and no answer came.
    #[error("{host} gave no answer: {why}")]
    NoAnswer {
        /// Which host.
        host: String,
        /// What happened.
        why: String,
    },
    /// There is an answer, and it cannot be used.
    #[error("the answer of {host} {why}")]
    Unusable {
        /// Which host.
        host: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What came back. Whether that is good news says the status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    host: String,
    body: Result<Bytes, &'static str>,
}

impl Answer {
    /// The whole body, unless it was too long or broke off.
    pub fn bytes(&self) -> Result<&Bytes, HttpError> {
        self.body.as_ref().map_err(|why| self.unusable(why))
    }

    /// The body as JSON. The error holds nothing of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let bytes = self.bytes()?;
        // The parser's own words could quote what was read.
        super::json::read(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            self.unusable(&format!("is not what it should be, at line {line} column {column}"))
        })
    }

    /// A header, if it is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The service's words, for people: the beginning of the body in one line.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let Ok(bytes) = &self.body else { return String::new() };
        let head = bytes.get(..EXCERPT_CHARS_MAX * 4).unwrap_or(bytes);
        let text = String::from_utf8_lossy(head);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line: String = words.join(" ");
        line.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS_MAX).collect()
    }

    /// Which host answered.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    fn unusable(&self, why: &str) -> HttpError {
        HttpError::Unusable { host: self.host.clone(), why: why.to_owned() }
    }
}

impl Http {
    /// For these addresses of the admin, and the open internet.
    #[must_use]
    pub fn new(configured: &[Url]) -> Self {
        Self::with_lookup(configured, Arc::new(|name| Box::pin(look_up(name))))
    }

    /// The same; `bare` addresses of the admin may be inside as well, and are given no credentials.
    #[must_use]
    pub fn beside(configured: &[Url], bare: &[Url]) -> Self {
        Self::of(configured, bare, Arc::new(|name| Box::pin(look_up(name))))
    }

    /// The same with another way to find addresses, for tests.
    #[must_use]
    pub fn with_lookup(configured: &[Url], lookup: Lookup) -> Self {
        Self::of(configured, &[], lookup)
    }

    fn of(configured: &[Url], bare: &[Url], lookup: Lookup) -> Self {
        let origins = |urls: &[Url]| urls.iter().map(Url::origin).collect();
        Self(Arc::new(Inner {
            configured: origins(configured),
            bare: origins(bare),
            lookup,
            anywhere: OnceLock::new(),
            outside: OnceLock::new(),
        }))
    }

    /// One call. Nothing is tried twice.
    pub async fn send(&self, call: Call) -> Result<Answer, HttpError> {
        let Call { method, url, headers, credentials, content, .. } = call;
        let deadline = Instant::now() + call.time_max.max(CONNECT_MAX + Duration::from_secs(2));
        if credentials.is_some() && !self.is_configured(&url) {
            return Err(refused(&url, "credentials go to the configured address only"));
        }
        let mut hop = Hop { url, redirects_left: call.redirects_max };
        let mut content = Some(content);
        loop {
            let mut request = self.request(&hop.url, method.clone())?.headers(headers.clone());
            request = match content.take() {
                None | Some(Content::Nothing) => request,
                Some(Content::Bytes(bytes, media_type)) => {
                    request.header(header::CONTENT_TYPE, media_type).body(bytes)
                }
                Some(Content::Multipart(form)) => request.multipart(form),
            };
            request = match self.for_whom(&hop.url, credentials.as_ref()) {
                None => request,
                Some(Credentials::Bearer(token)) => request.bearer_auth(token.reveal()),
                Some(Credentials::Basic(user, password)) => {
                    request.basic_auth(user, Some(password.reveal()))
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let sent = request.timeout(left).send().await;
            let response = sent.map_err(|error| explain(&hop.url, error))?;
            match hop.next(&method, &response)? {
                Some(next) => hop = next,
                None => return Ok(answer(&hop.url, response, call.answer_bytes_max).await),
            }
        }
    }

    fn is_configured(&self, url: &Url) -> bool {
        self.0.configured.contains(&url.origin())
    }

    /// Credentials, if this is where they belong: not where a redirect leads.
    fn for_whom<'c>(
        &self,
        url: &Url,
        credentials: Option<&'c Credentials>,
    ) -> Option<&'c Credentials> {
        credentials.filter(|_| self.is_configured(url))
    }

    /// A request to an address that was judged as far as it can be before its name is resolved.
    fn request(&self, url: &Url, method: Method) -> Result<reqwest::RequestBuilder, HttpError> {
        check_shape(url)?;
        let configured = self.is_configured(url) || self.0.bare.contains(&url.origin());
        if !configured {
            check_outside(url)?;
        }
        let cell = if configured { &self.0.anywhere } else { &self.0.outside };
        let client = match cell.get() {
            Some(client) => client.clone(),
            None => {
                let names = Names { lookup: self.0.lookup.clone(), guarded: !configured };
                let made = client(names).map_err(|error| HttpError::Unreachable {
                    host: host_of(url),
                    why: deepest(&error),
                })?;
                cell.get_or_init(|| made).clone()
            }
        };
        Ok(client.request(method, url.clone()))
    }
}

/// Where a chain of redirects stands.
struct Hop {
    url: Url,
    redirects_left: u8,
}

impl Hop {
    /// The next address, if the answer names one that is to be followed.
    fn next(
        &self,
        method: &Method,
        response: &reqwest::Response,
    ) -> Result<Option<Self>, HttpError> {
        let follows =
            *method == Method::GET && matches!(response.status().as_u16(), 301..=303 | 307 | 308);
        if !follows || self.redirects_left == 0 {
            return Ok(None);
        }
        let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let next = location.and_then(|to| self.url.join(to).ok());
        let next = next.ok_or_else(|| HttpError::Unusable {
            host: host_of(&self.url),
            why: "redirects to nowhere".to_owned(),
        })?;
        if self.url.scheme() == "https" && next.scheme() != "https" {
            return Err(refused(&next, "a redirect may not leave encryption"));
        }
        Ok(Some(Self { url: next, redirects_left: self.redirects_left - 1 }))
    }
}

/// Reads the body as far as it may go.
async fn answer(url: &Url, mut response: reqwest::Response, bytes_max: usize) -> Answer {
    let status = response.status();
    let headers = response.headers().clone();
    let mut bytes = BytesMut::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > bytes_max => break Err(TOO_LONG),
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break Ok(bytes.freeze()),
            Err(error) if error.is_timeout() => break Err("did not end in time"),
            Err(_) => break Err("broke off"),
        }
    };
    Answer { status, headers, host: host_of(url), body }
}

/// What holds for every address, the admin's too.
fn check_shape(url: &Url) -> Result<(), HttpError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(url, "only http and https are spoken"));
    }
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(refused(url, "the address is too long"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(url, "the address holds a user or a password"));
    }
    Ok(())
}

/// What holds for addresses that anybody may have written. Names are judged when they are resolved.
fn check_outside(url: &Url) -> Result<(), HttpError> {
    let port = url.port_or_known_default().unwrap_or_default();
    if port < 1024 && port != 80 && port != 443 {
        return Err(refused(url, "its port belongs to another protocol"));
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        Some(Host::Domain(name)) if !name.is_empty() => return Ok(()),
        Some(Host::Domain(_)) | None => return Err(refused(url, "there is no host in it")),
    };
    match guard::inside(address) {
        Some(why) => Err(refused(url, &Inside { why }.to_string())),
        None => Ok(()),
    }
}

fn refused(url: &Url, why: &str) -> HttpError {
    HttpError::Refused { host: host_of(url), why: why.to_owned() }
}

/// The only part of an address that is ever shown.
fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The name leads inside.
#[derive(Debug, thiserror::Error)]
#[error("it is not on the open internet ({why})")]
struct Inside {
    why: &'static str,
}

/// What reqwest asks for addresses; what this returns is what is connected to.
struct Names {
    lookup: Lookup,
    guarded: bool,
}

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let looking = (self.lookup)(name.as_str().to_owned());
        let guarded = self.guarded;
        Box::pin(async move {
            let mut found = looking.await?;
            if guarded {
                let why = found.iter().find_map(|address| guard::inside(*address));
                found.retain(|address| guard::inside(*address).is_none());
                if let Some(why) = why.filter(|_| found.is_empty()) {
                    return Err(Inside { why }.into());
                }
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

fn client(names: Names) -> Result<reqwest::Client, reqwest::Error> {
    // The first of several stays; every binary of ours has set the same one.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder()
        .dns_resolver(names)
        // A proxy of the environment would resolve names for us, unjudged.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// What a failure of reqwest says about the call.
fn explain(url: &Url, error: reqwest::Error) -> HttpError {
    let host = host_of(url);
    let error = error.without_url();
    if let Some(inside) = find::<Inside>(&error) {
        return HttpError::Refused { host, why: inside.to_string() };
    }
    let timeout = error.is_timeout();
    let why = if timeout { "it took too long".to_owned() } else { deepest(&error) };
    if error.is_connect() || error.is_builder() {
        HttpError::Unreachable { host, why }
    } else {
        HttpError::NoAnswer { host, why }
    }
}

/// The first error of a sort in a chain.
fn find<'e, E: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e E> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// What really happened: the libraries' own words around it say less.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(inner) = at.source() {
        at = inner;
    }
    at.to_string()
}

/// An address for the settings: `https`, or `http` on this machine; no user, query or fragment.
pub fn base_url(text: &str) -> Result<Url, String> {
    let expected = "expected an address like https://api.example.com";
    let url = Url::parse(text).map_err(|_| expected.to_owned())?;
    check_shape(&url).map_err(|_| expected.to_owned())?;
    let host = url.host_str().unwrap_or_default();
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{expected}, without `?` and `#`"));
    }
    if url.scheme() != "https" && !is_loopback(host) {
        return Err("plain http is for this machine only: use https://".to_owned());
    }
    Ok(url)
}

/// The address of something below a base: each step is one part of the path, whatever is in it.
#[must_use]
pub fn below(base: &Url, steps: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(steps);
    }
    url
}

#[cfg(test)]
mod tests;
