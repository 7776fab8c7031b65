//! Stands in for the crate `hyper-tls`, which would bring OpenSSL.
//!
//! `twilio-async` names a client of it in its types. We let that crate write requests, and send them by our
//! own client; so this connector is never asked, and says no if it is. See docs/decisions/0041-twilio.md.

use std::future::{Ready, ready};
use std::io;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::client::HttpConnector;
use hyper::service::Service;

/// A connector that connects to nothing.
#[derive(Debug, Clone)]
pub struct HttpsConnector<T>(PhantomData<fn() -> T>);

impl HttpsConnector<HttpConnector> {
    /// As the real one is made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it has the shape of the real one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl Service<Uri> for HttpsConnector<HttpConnector> {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Err(io::Error::new(io::ErrorKind::Unsupported, "this connector connects to nothing")))
    }
}
