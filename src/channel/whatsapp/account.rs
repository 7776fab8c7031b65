//! Calls to the Graph API for one number of ours.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::Value;
use url::Url;

use crate::channel::shared::graph::account::{Graph, code_of};
use crate::channel::shared::http::{Answer, Call, HttpError, for_download, harmless};
use crate::channel::shared::look;
use crate::channel::{DeliverError, DownloadError};
use crate::model::OutboundMedia;

/// A file may take this long on its way up.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(300);

/// Our number at the service.
pub(super) struct Account {
    pub(super) graph: Graph,
    pub(super) phone_number_id: String,
}

impl Account {
    /// One call that does something below our number. 2xx with an error in it is the error.
    pub(super) async fn post(&self, steps: &[&str], body: &Value) -> Result<Answer, HttpError> {
        let mut path = vec![self.phone_number_id.as_str()];
        path.extend(steps);
        self.graph.post(&path, body).await
    }

    /// What the service says of our number.
    pub(super) async fn number(&self) -> Result<Answer, DeliverError> {
        self.graph.fields(&[&self.phone_number_id], "display_phone_number,verified_name").await
    }

    /// Puts up a file that a message is to name. Whatever goes wrong here, nobody got anything.
    pub(super) async fn upload(&self, media: &OutboundMedia) -> Result<String, DeliverError> {
        let size = media.bytes.len() as u64;
        let file = Part::stream_with_length(reqwest::Body::from(media.bytes.clone()), size)
            .file_name(media.name.clone())
            .mime_str(&media.mime)
            .map_err(|_| DeliverError::Rejected("the file's type makes no sense".into()))?;
        let form = Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", media.mime.clone())
            .part("file", file);
        let url = self.graph.url(&[&self.phone_number_id, "media"]);
        let call = Call::post_multipart(url, form).time_max(UPLOAD_TIME_MAX);
        let again = |cause| DeliverError::Retry { cause, after: None };
        let answer = self.graph.accepted(self.graph.send(call).await).map_err(harmless)?;
        let told = answer.json::<Value>().map_err(|error| again(error.into()))?;
        look::word(&told, "/id").ok_or_else(|| again("WhatsApp gave the file no id".into()))
    }

    /// Where a customer's file is.
    pub(super) async fn file(&self, id: &str) -> Result<Value, DownloadError> {
        let mut url = self.graph.url(&[id]);
        url.query_pairs_mut().append_pair("phone_number_id", &self.phone_number_id);
        let answer = self.graph.send(Call::get(url)).await;
        if answer.as_ref().is_ok_and(|answer| code_of(answer) == Some((100, 33))) {
            // A name that stands for nothing (any more).
            let cause = "the file is no longer at WhatsApp, which keeps files for some weeks";
            return Err(DownloadError::Never(cause.into()));
        }
        let answer = self.graph.accepted(answer).map_err(for_download)?;
        answer.json().map_err(|error| DownloadError::Retry { cause: error.into(), after: None })
    }

    /// Fetches from an address that the service named. The token goes along only where the settings allow it.
    pub(super) async fn get(
        &self,
        url: Url,
        bytes_max: usize,
        time_max: Duration,
    ) -> Result<Answer, HttpError> {
        self.graph.send(Call::get(url).answer_bytes_max(bytes_max).time_max(time_max)).await
    }
}
