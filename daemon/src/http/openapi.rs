//! The OpenAPI document, rendered from the registry.

use loopsy_shared::{
    VERSION,
    api::{Entry, Form, Needs, REGISTRY, error::ErrorBody, node::OpenApi},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The whole document, OpenAPI 3.1.
pub(super) fn document() -> OpenApi {
    let mut schemas = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator();
    let error = ErrorBody::json_schema(&mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for entry in REGISTRY {
        let path = paths.entry(entry.spec.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(entry.spec.method.as_str().to_lowercase(), operation(entry, &mut schemas));
        }
    }
    let mut definitions = schemas.take_definitions(true);
    definitions.insert("Error".to_owned(), error.into());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Loopsy",
            "version": VERSION,
            "license": { "name": "Apache-2.0" },
            "description": "Every path can be asked of a peer through this node: /api/v1/at/{peer}/... is /api/v1/... on that peer.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    });
    match document {
        Value::Object(document) => OpenApi(document),
        _ => OpenApi(Map::new()),
    }
}

fn operation(entry: &Entry, schemas: &mut SchemaGenerator) -> Value {
    let spec = &entry.spec;
    let request = resolved((entry.request)(schemas).into(), schemas);
    let reply: Value = (entry.reply)(schemas).into();
    let field = |name: &str| request.pointer(&format!("/properties/{name}")).cloned().unwrap_or_else(|| json!({}));
    let required = |name: &str| request.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|n| n == name));
    let parameter = |name: &str, place: &str, required: bool| {
        let schema = field(name);
        json!({ "name": name, "in": place, "required": required, "description": schema.get("description"), "schema": schema })
    };
    let in_path: Vec<&str> = spec.path_fields().collect();
    let fields: Vec<String> = request.get("properties").and_then(Value::as_object).map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    let mut parameters: Vec<Value> = in_path.iter().map(|name| parameter(name, "path", true)).collect();
    if !spec.method.has_body() {
        parameters.extend(fields.iter().filter(|name| !in_path.contains(&name.as_str())).map(|name| parameter(name, "query", required(name))));
    }
    let text = request.get("description").and_then(Value::as_str).unwrap_or_default();
    let success = match spec.reply {
        Form::Json => json!({ "application/json": { "schema": reply } }),
        Form::Events => json!({ "text/event-stream": { "schema": reply } }),
        Form::Bytes | Form::Multipart => json!({ "application/octet-stream": {} }),
        Form::Socket => json!({ "application/json": { "schema": reply, "description": "Text frames of the WebSocket." } }),
    };
    let mut operation = json!({
        "operationId": spec.name,
        "summary": text.split(". ").next().unwrap_or_default(),
        "description": text,
        "tags": [spec.name.split('.').next().unwrap_or_default()],
        "parameters": parameters,
        "responses": {
            (if spec.creates { "201" } else { "200" }): { "description": "Done.", "content": success },
            "default": { "description": "Refused.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } },
        },
        "security": match spec.needs { Needs::Nothing => json!([]), Needs::Scope(_) | Needs::Peer | Needs::Local | Needs::Admin | Needs::Task => json!([{ "key": [] }]) },
        "x-loopsy-needs": match spec.needs { Needs::Nothing => "nothing", Needs::Scope(scope) => scope.as_str(), Needs::Peer => "peer", Needs::Local => "local", Needs::Admin => "admin", Needs::Task => "task" },
    });
    if spec.method.has_body() {
        let body = body_schema(request, &in_path);
        let content = match spec.request {
            Form::Multipart => json!({ "multipart/form-data": { "schema": with_file(body) } }),
            Form::Bytes => json!({ "application/octet-stream": {} }),
            Form::Json | Form::Events | Form::Socket => json!({ "application/json": { "schema": body } }),
        };
        operation["requestBody"] = json!({ "required": false, "content": content });
    }
    operation
}

/// The schema that a reference names, so that its fields can be told apart.
fn resolved(schema: Value, schemas: &SchemaGenerator) -> Value {
    let mut schema = schema;
    while let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        let description = schema.get("description").cloned();
        let Some(found) = schemas.definitions().get(name) else { break };
        let mut found = found.clone();
        if let (Some(description), Some(map)) = (description, found.as_object_mut()) {
            map.insert("description".to_owned(), description);
        }
        schema = found;
    }
    schema
}

/// A request without the fields that travel in the path.
fn body_schema(mut request: Value, in_path: &[&str]) -> Value {
    if let Some(Value::Object(fields)) = request.get_mut("properties") {
        fields.retain(|name, _| !in_path.contains(&name.as_str()));
    }
    if let Some(Value::Array(names)) = request.get_mut("required") {
        names.retain(|name| !name.as_str().is_some_and(|name| in_path.contains(&name)));
    }
    request
}

fn with_file(mut schema: Value) -> Value {
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        fields.insert("file".to_owned(), json!({ "type": "string", "contentMediaType": "application/octet-stream" }));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described_and_every_reference_leads_somewhere() {
        let OpenApi(document) = document();
        let document = Value::Object(document);
        for entry in REGISTRY {
            let pointer = format!("/paths/{}/{}", entry.spec.path.replace('/', "~1"), entry.spec.method.as_str().to_lowercase());
            let operation = document.pointer(&pointer).expect(&pointer);
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{pointer} has no summary");
        }
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
        }
    }
}
