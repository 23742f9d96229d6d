//! The form that a pushed file comes in: some fields, the file, and perhaps its hash.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};
use loopsy_shared::{
    api::{ApiError, Code, SHA256_HEADER, transfer::Push},
    text,
};
use multer::{Field, Multipart};

use super::body;

/// Most fields before the file, and the longest of them.
const MOST_FIELDS: usize = 32;
const LONGEST_FIELD: usize = 64 << 10;
/// Bytes that may come before the form's parser has anything to give: more than any read from a socket.
const MOST_HELD: u64 = 4 << 20;

/// A form that is being read, in the order in which it comes: [`Self::announced`], then [`Self::chunk`] to its end, then [`Self::hash`].
pub(crate) struct PushForm {
    form: Multipart<'static>,
    /// What the form's parser holds back while it looks for the end of a part's head is bounded by what it has been given since it last gave anything.
    held: Arc<AtomicU64>,
    hash: Option<String>,
    file: Option<Field<'static>>,
}

impl PushForm {
    /// Begins to read a form.
    ///
    /// # Errors
    /// When it is none by its content type.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Result<Self, ApiError> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(content_type).map_err(|_| {
            ApiError::new(Code::UnsupportedMediaType, "A pushed file travels as multipart/form-data.")
                .hint("Send the field `destPath`, then the file: curl -F destPath=/tmp/x -F file=@x …")
        })?;
        let hash = headers.get(SHA256_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let held = Arc::new(AtomicU64::new(0));
        let chunks = stream::unfold((body, Arc::clone(&held)), |(mut body, held)| async {
            let chunk = body::next_chunk(&mut body).await.transpose()?;
            let chunk = chunk.and_then(|chunk| {
                let now = held.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
                if now > MOST_HELD { Err(ApiError::new(Code::InvalidRequest, "The form has a part without an end to its head.")) } else { Ok(chunk) }
            });
            Some((chunk.map_err(io::Error::other), (body, held)))
        });
        Ok(Self { form: Multipart::new(chunks, boundary), held, hash, file: None })
    }

    /// Reads up to the file and gives what was said of it before.
    ///
    /// # Errors
    /// A form that is malformed, too long, not valid, or without a file.
    pub(crate) async fn announced(&mut self) -> Result<Push, ApiError> {
        let mut fields = Vec::new();
        while let Some(part) = self.next_part().await? {
            if part.file_name().is_some() {
                self.file = Some(part);
                return announced(fields, self.hash.take());
            }
            if fields.len() >= MOST_FIELDS {
                return Err(ApiError::new(Code::InvalidRequest, format!("The form has more than {MOST_FIELDS} fields.")));
            }
            fields.push(field(part).await?);
        }
        Err(ApiError::new(Code::TransferFailed, "The form holds no file.").hint("Send the field `destPath` first, then one part with a file name."))
    }

    /// The next piece of the file.
    ///
    /// # Errors
    /// A form that breaks off.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(file) = &mut self.file else { return Ok(None) };
        let chunk = file.chunk().await.map_err(broken)?;
        self.held.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    /// The hash behind the file: a sender that hashes while it sends knows it only then.
    ///
    /// # Errors
    /// A form that breaks off.
    pub(crate) async fn hash(&mut self) -> Result<Option<String>, ApiError> {
        // The form gives no next part while one is open.
        self.file = None;
        match self.next_part().await? {
            Some(part) if part.name() == Some("sha256") => Ok(Some(field(part).await?.1)),
            _ => Ok(None),
        }
    }

    async fn next_part(&mut self) -> Result<Option<Field<'static>>, ApiError> {
        let part = self.form.next_field().await.map_err(broken)?;
        self.held.store(0, Ordering::Relaxed);
        Ok(part)
    }
}

/// Name and text of a field that is no file.
async fn field(mut part: Field<'_>) -> Result<(String, String), ApiError> {
    let name = part.name().unwrap_or_default().to_owned();
    let mut value = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        value.extend_from_slice(&chunk);
        if value.len() > LONGEST_FIELD {
            return Err(ApiError::new(Code::InvalidRequest, format!("The form field `{}` is too long.", text::inert(&name))));
        }
    }
    let value = String::from_utf8(value).map_err(|_| ApiError::new(Code::InvalidRequest, format!("The form field `{}` is not UTF-8.", text::inert(&name))))?;
    Ok((name, value))
}

/// The fields that came before the file. The hash may come in a header as well.
fn announced(fields: Vec<(String, String)>, hash: Option<String>) -> Result<Push, ApiError> {
    let form = serde_html_form::to_string(&fields).map_err(|e| ApiError::new(Code::InvalidRequest, e.to_string()))?;
    let mut push: Push = serde_html_form::from_str(&form).map_err(|e| {
        ApiError::new(Code::InvalidRequest, format!("The form is not valid: {}.", text::inert(&e.to_string())))
            .hint("The field `destPath` must come before the file.")
    })?;
    push.sha256 = push.sha256.or(hash);
    Ok(push)
}

fn broken(error: multer::Error) -> ApiError {
    if let multer::Error::StreamReadFailed(cause) = &error
        && let Some(cause) = cause.downcast_ref::<io::Error>().and_then(|e| e.get_ref()).and_then(|e| e.downcast_ref::<ApiError>())
    {
        return cause.clone();
    }
    ApiError::new(Code::InvalidRequest, format!("The form breaks off or is malformed: {error}."))
}
