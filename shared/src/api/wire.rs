//! How a request is cut into path, query and body, and put together again.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{ApiError, Code, Endpoint, Form, Spec};

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Path, with the query if there is one.
    pub target: String,
    /// JSON body, for methods that have one.
    pub body: Option<Vec<u8>>,
}

/// One path segment, percent-encoded. `.` and `..` are encoded too, so that nothing on the way normalises them.
pub fn encode_segment(text: &str) -> Cow<'_, str> {
    match text {
        "." => Cow::Borrowed("%2E"),
        ".." => Cow::Borrowed("%2E%2E"),
        _ => utf8_percent_encode(text, SEGMENT).into(),
    }
}

/// Whether a decoded path segment is one that URL libraries resolve instead of sending, percent-encoded or not.
pub fn is_direction(segment: &str) -> bool {
    segment == "." || segment == ".."
}

/// Cuts a request into what travels in the path, the query and the body. Endpoints with a multipart or raw body get none here.
///
/// # Errors
/// When the request has no JSON form, or a path field is missing: both mistakes in an endpoint's definition.
pub fn split<E: Endpoint>(request: &E) -> Result<Parts, ApiError> {
    let spec = E::SPEC;
    let broken = |what: String| ApiError::new(Code::Internal, format!("The request `{}` cannot be written: {what}.", spec.name));
    let Value::Object(mut fields) = serde_json::to_value(request).map_err(|e| broken(e.to_string()))? else {
        return Err(broken("it is not an object".to_owned()));
    };
    let mut target = String::with_capacity(spec.path.len() + 32);
    for segment in spec.path.split('/').skip(1) {
        target.push('/');
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            None => target.push_str(segment),
            Some(name) => match fields.remove(name) {
                Some(Value::String(text)) if is_direction(&text) => {
                    return Err(ApiError::new(
                        Code::InvalidRequest,
                        format!("`{text}` cannot be sent as a name: URLs take it for a direction, however it is written."),
                    )
                    .hint("Choose another name."));
                }
                Some(Value::String(text)) => target.push_str(&encode_segment(&text)),
                Some(Value::Number(number)) => target.push_str(&number.to_string()),
                _ => return Err(broken(format!("the path field `{name}` is missing"))),
            },
        }
    }
    if spec.method.has_body() && spec.request == Form::Json {
        let body = serde_json::to_vec(&fields).map_err(|e| broken(e.to_string()))?;
        return Ok(Parts { target, body: Some(body) });
    }
    if !spec.method.has_body() {
        fields.retain(|_, value| !value.is_null());
        if !fields.is_empty() {
            let query = serde_html_form::to_string(&fields).map_err(|e| broken(e.to_string()))?;
            target.push('?');
            target.push_str(&query);
        }
    }
    Ok(Parts { target, body: None })
}

/// Puts a request together from decoded path fields, the raw query and the body.
///
/// # Errors
/// `9003` with what is wrong and where.
pub fn join<E: Endpoint>(path: &[(&str, &str)], query: Option<&str>, body: &[u8]) -> Result<E, ApiError> {
    if E::SPEC.method.has_body() && E::SPEC.request == Form::Json { join_body(&E::SPEC, path, body) } else { join_query(path, query) }
}

fn join_body<T: DeserializeOwned>(spec: &Spec, path: &[(&str, &str)], body: &[u8]) -> Result<T, ApiError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    if path.is_empty() {
        return from_json(body);
    }
    let mut fields: Map<String, Value> = from_json(body)?;
    for (name, text) in path {
        debug_assert!(spec.path_fields().any(|field| field == *name), "the router found a field that the path does not have");
        fields.insert((*name).to_owned(), Value::String((*text).to_owned()));
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|e| invalid(&e.path().to_string(), e.inner()))
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        invalid(&path, e.inner())
    })?;
    json.end().map_err(|e| invalid(".", &e))?;
    Ok(value)
}

fn join_query<T: DeserializeOwned>(path: &[(&str, &str)], query: Option<&str>) -> Result<T, ApiError> {
    let mut form = String::with_capacity(64);
    for (name, text) in path {
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(text, SEGMENT));
        form.push('&');
    }
    form.push_str(query.unwrap_or_default());
    serde_path_to_error::deserialize(serde_html_form::Deserializer::from_bytes(form.as_bytes())).map_err(|e| invalid(&e.path().to_string(), e.inner()))
}

fn invalid(path: &str, cause: &dyn std::fmt::Display) -> ApiError {
    let place = if path.is_empty() || path == "." || path == "?" { String::new() } else { format!("`{path}`: ") };
    ApiError::new(Code::InvalidRequest, format!("The request is not valid: {place}{}.", crate::text::inert(&cause.to_string())))
        .hint("See `docs/API.md`, or GET /api/v1/openapi.json, for the fields of each request.")
}

/// Serialises any reply to JSON bytes.
///
/// # Errors
/// `9001`, when a type has no JSON form.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|e| ApiError::new(Code::Internal, format!("The reply could not be written: {e}.")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::{context::*, execute::*, peers::RemovePeer};

    fn rejoin<E: Endpoint>(request: &E) -> E {
        let parts = split(request).expect("splits");
        let (path, query) = parts.target.split_once('?').map_or((parts.target.as_str(), None), |(p, q)| (p, Some(q)));
        let decoded: Vec<(&str, String)> = E::SPEC
            .path
            .split('/')
            .zip(path.split('/'))
            .filter_map(|(name, value)| Some((name.strip_prefix('{')?.strip_suffix('}')?, value)))
            .map(|(name, value)| (name, percent_encoding::percent_decode_str(value).decode_utf8().expect("utf-8").into_owned()))
            .collect();
        assert_eq!(path.split('/').count(), E::SPEC.path.split('/').count(), "a value never adds a segment");
        let fields: Vec<(&str, &str)> = decoded.iter().map(|(name, value)| (*name, value.as_str())).collect();
        join(&fields, query, parts.body.as_deref().unwrap_or_default()).expect("joins")
    }

    proptest! {
        #[test]
        fn what_is_split_joins_again(key in "\\PC{1,40}", value in ".*", ttl in proptest::option::of(1u64..1_000_000), version in proptest::option::of(any::<u64>())) {
            prop_assume!(!is_direction(&key));
            let key = ContextKey::try_from(key).expect("fits");
            let request = SetContext { key: key.clone(), value: value.clone(), ttl: ttl.map(|s| Ttl::from_seconds(s).expect("fits")), if_version: version };
            let again = rejoin(&request);
            prop_assert_eq!((&again.key, &again.value, again.ttl, again.if_version), (&key, &value, request.ttl, version));
            let again = rejoin(&DeleteContext { key: key.clone(), if_version: version });
            prop_assert_eq!((again.key, again.if_version), (key, version));
        }

        #[test]
        fn queries_keep_every_character(prefix in ".*", since in any::<u64>(), wait in any::<u32>()) {
            let again = rejoin(&ListContext { prefix: Some(prefix.clone()) });
            prop_assert_eq!(again.prefix.unwrap_or_default(), prefix.clone());
            prop_assume!(!is_direction(&prefix));
            let again = rejoin(&GetJobOutput { job_id: prefix.as_str().into(), since, wait });
            prop_assert_eq!((again.job_id.as_str(), again.since, again.wait), (prefix.as_str(), since, wait));
        }

        #[test]
        fn any_bytes_are_a_request_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either: Result<Execute, _> = join(&[], None, &body);
            let _either: Result<SetContext, _> = join(&[("key", "k")], None, &body);
        }
    }

    #[test]
    fn ids_that_look_like_paths_stay_one_segment() {
        for direction in [".", ".."] {
            assert_eq!(split(&RemovePeer { node_id: direction.into() }).expect_err("no name").code, Code::InvalidRequest);
        }
        assert_eq!(split(&RemovePeer { node_id: "a/b?c".into() }).expect("splits").target, "/api/v1/peers/a%2Fb%3Fc");
    }

    #[test]
    fn the_error_names_the_field() {
        let error = join::<Execute>(&[], None, br#"{"command":"ls","env":{"A":1}}"#).expect_err("a number is no text");
        assert!(error.message.contains("`env.A`"), "{}", error.message);
        let error = join::<SetContext>(&[("key", "k")], None, br#"{"value":"v","ttl":"abc"}"#).expect_err("no number");
        assert!(error.message.contains("ttl"), "{}", error.message);
        assert_eq!(error.code, Code::InvalidRequest);
    }

    #[test]
    fn deep_json_is_refused_and_an_empty_body_is_an_empty_object() {
        let deep = "[".repeat(100_000);
        let error = join::<Execute>(&[], None, deep.as_bytes()).expect_err("too deep");
        assert_eq!(error.code, Code::InvalidRequest);
        let error = join::<Execute>(&[], None, b"").expect_err("no command");
        assert!(error.message.contains("missing field `command`"), "{}", error.message);
        assert!(join::<crate::api::node::Reload>(&[], None, b"").is_ok());
    }

    #[test]
    fn ttl_is_a_positive_whole_number() {
        for bad in ["0", "-1", "1e308", "\"abc\"", "1.5", "null1"] {
            let body = format!(r#"{{"value":"v","ttl":{bad}}}"#);
            assert!(join::<SetContext>(&[("key", "k")], None, body.as_bytes()).is_err(), "{bad}");
        }
        assert!(join::<SetContext>(&[("key", "k")], None, br#"{"value":"v","ttl":3600.0}"#).is_ok());
    }
}
