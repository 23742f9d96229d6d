//! Single files and directories on this node.

use std::io;

use axum::{body::Body, extract::Request, response::Response};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use loopsy_shared::api::{
    ApiError, Done, FILE_SIZE_HEADER, MODE_HEADER, MODIFIED_HEADER,
    transfer::{ListDirectory, ListTree, Listing, MakeDirectory, PathStat, Pull, Push, PushOffset, Pushed, StatPath, Tree, UploadOffset},
};

use crate::{
    app::App,
    files::PullFile,
    http::{endpoint::Routes, form::PushForm},
    trust::Caller,
};

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
    let mut form = PushForm::new(&parts.headers, body)?;
    let mut file = app.files.begin_push(form.announced().await?).await?;
    while let Some(chunk) = form.chunk().await? {
        file.write(chunk).await?;
    }
    if let Some(hash) = form.hash().await? {
        file.expect(&hash)?;
    }
    Ok(file.finish().await?)
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
