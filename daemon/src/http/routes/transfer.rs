//! Single files and directories on this node.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{body::Body, extract::Request, response::Response};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use loopsy_shared::{
    api::{
        ApiError, Code, Done, FILE_SIZE_HEADER, MODE_HEADER, MODIFIED_HEADER, SHA256_HEADER,
        transfer::{ListDirectory, ListTree, Listing, MakeDirectory, PathStat, Pull, Push, PushOffset, Pushed, StatPath, Tree, UploadOffset},
    },
    text,
};
use multer::{Field, Multipart};

use crate::{
    app::App,
    files::PullFile,
    http::{body, endpoint::Routes},
    trust::Caller,
};

/// Most fields before the file, and the longest of them.
const MOST_FIELDS: usize = 32;
const LONGEST_FIELD: usize = 64 << 10;
/// Bytes that may come before the form's parser has anything to give: more than any read from a socket.
const MOST_HELD: u64 = 4 << 20;

pub(super) fn mount(routes: Routes) -> Routes {
    routes.upload::<Push, _, _, _>(push).endpoint(offset).response(pull).endpoint(list).endpoint(tree).endpoint(stat).endpoint(make_directory)
}

async fn list(app: App, _caller: Caller, request: ListDirectory) -> Result<Listing, ApiError> {
    Ok(app.files.list(&request.path).await?)
}

async fn tree(app: App, _caller: Caller, request: ListTree) -> Result<Tree, ApiError> {
    Ok(app.files.tree(request).await?)
}

async fn stat(app: App, _caller: Caller, request: StatPath) -> Result<PathStat, ApiError> {
    Ok(app.files.stat(&request).await?)
}

async fn make_directory(app: App, _caller: Caller, request: MakeDirectory) -> Result<Done, ApiError> {
    app.files.make_directory(&request.path).await?;
    Ok(Done::OK)
}

async fn offset(app: App, _caller: Caller, request: PushOffset) -> Result<UploadOffset, ApiError> {
    Ok(app.files.push_offset(&request).await?)
}

async fn push(app: App, _caller: Caller, _none: Option<Push>, request: Request) -> Result<Pushed, ApiError> {
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        ApiError::new(Code::UnsupportedMediaType, "A pushed file travels as multipart/form-data.")
            .hint("Send the field `destPath`, then the file: curl -F destPath=/tmp/x -F file=@x …")
    })?;
    // What the form's parser holds back while it looks for the end of a part's head is bounded by what it has been given since it last gave anything.
    let held = Arc::new(AtomicU64::new(0));
    let chunks = stream::unfold((body, Arc::clone(&held)), |(mut body, held)| async {
        let chunk = body::next_chunk(&mut body).await.transpose()?;
        let chunk = chunk.and_then(|chunk| {
            let now = held.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
            if now > MOST_HELD { Err(ApiError::new(Code::InvalidRequest, "The form has a part without an end to its head.")) } else { Ok(chunk) }
        });
        Some((chunk.map_err(io::Error::other), (body, held)))
    });
    let mut form = Multipart::new(chunks, boundary);
    let mut fields = Vec::new();
    while let Some(mut part) = form.next_field().await.map_err(broken)? {
        held.store(0, Ordering::Relaxed);
        if part.file_name().is_none() {
            if fields.len() >= MOST_FIELDS {
                return Err(ApiError::new(Code::InvalidRequest, format!("The form has more than {MOST_FIELDS} fields.")));
            }
            fields.push(field(part).await?);
            continue;
        }
        let mut file = app.files.begin_push(announced(fields, &parts.headers)?).await?;
        while let Some(chunk) = part.chunk().await.map_err(broken)? {
            held.store(0, Ordering::Relaxed);
            file.write(chunk).await?;
        }
        drop(part);
        // A sender that hashes while it sends knows the hash only now.
        if let Some(part) = form.next_field().await.map_err(broken)?
            && part.name() == Some("sha256")
        {
            file.expect(&field(part).await?.1)?;
        }
        return Ok(file.finish().await?);
    }
    Err(ApiError::new(Code::TransferFailed, "The form holds no file.").hint("Send the field `destPath` first, then one part with a file name."))
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
fn announced(fields: Vec<(String, String)>, headers: &HeaderMap) -> Result<Push, ApiError> {
    let form = serde_html_form::to_string(&fields).map_err(|e| ApiError::new(Code::InvalidRequest, e.to_string()))?;
    let mut push: Push = serde_html_form::from_str(&form).map_err(|e| {
        ApiError::new(Code::InvalidRequest, format!("The form is not valid: {}.", text::inert(&e.to_string())))
            .hint("The field `destPath` must come before the file.")
    })?;
    let hash = headers.get(SHA256_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
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

async fn pull(app: App, _caller: Caller, request: Pull, _headers: HeaderMap) -> Result<Response, ApiError> {
    let file = app.files.open_pull(&request.source_path, request.offset).await?;
    let number = HeaderValue::from;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, number(file.size - file.offset)),
        (header::CONTENT_DISPOSITION, disposition(&file.name)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (HeaderName::from_static(FILE_SIZE_HEADER), number(file.size)),
        (HeaderName::from_static(MODIFIED_HEADER), number(file.modified)),
        (HeaderName::from_static(MODE_HEADER), HeaderValue::from_str(&format!("{:o}", file.mode)).unwrap_or(HeaderValue::from_static("644"))),
    ];
    let chunks = stream::unfold(file, |mut file: PullFile| async { file.next().await.map(|chunk| (chunk.map_err(io::Error::other), file)) });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().extend(headers);
    Ok(response)
}

/// RFC 6266: an ASCII name for everyone, and the whole name for those who understand `filename*`.
fn disposition(name: &str) -> HeaderValue {
    let plain: String = name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '%') || c == ' ' { c } else { '_' }).collect();
    let whole = loopsy_shared::api::wire::encode_segment(name);
    let text = if plain == name { format!("attachment; filename=\"{plain}\"") } else { format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}") };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_fits_the_header() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"");
        assert_eq!(disposition("ä\"\r\n.txt"), "attachment; filename=\"____.txt\"; filename*=UTF-8''%C3%A4%22%0D%0A.txt");
    }
}
