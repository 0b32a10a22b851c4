//! Reading the items of a rule, from elements or from JSON.

use std::collections::HashSet;

use scrapering_core::job::Source;
use serde_json::{Map, Value};

use super::budget::Meter;
use super::compile::{CompiledField, Kind, Rule};
use super::document::Document;
use super::scope::Scope;
use super::value::{Missing, Values};
use super::{ExtractError, Item, ItemError, schema, structured};

/// Most complaints kept of one page; they repeat each other.
const MAX_ITEM_ERRORS: usize = 100;

/// What an entry of a map or list costs besides its content.
const ENTRY_BYTES: usize = 32;

/// What stands on the page, in the forms that rules ask for.
pub(super) struct Sources<'a> {
    document: Option<&'a Document>,
    json: Option<Value>,
    json_ld: Option<Value>,
    open_graph: Option<Value>,
    meta: Option<Value>,
}

impl<'a> Sources<'a> {
    /// Prepares what `rules` ask for.
    pub(super) fn prepare(
        document: Option<&'a Document>,
        json: Option<Value>,
        rules: &[&Rule],
        meter: &mut Meter,
    ) -> Result<Self, ExtractError> {
        let mut sources = Self { document, json, json_ld: None, open_graph: None, meta: None };
        let Some(document) = document else { return Ok(sources) };
        let asked = |source: Source| rules.iter().any(|rule| rule.source == source);
        if asked(Source::JsonLd) {
            sources.json_ld = Some(structured::json_ld(document, meter)?);
        }
        if asked(Source::OpenGraph) {
            sources.open_graph = Some(structured::open_graph(document, meter)?);
        }
        if asked(Source::Meta) {
            sources.meta = Some(structured::meta(document, meter)?);
        }
        Ok(sources)
    }

    /// Where the items of `rule` are looked for; nothing if the page is not of that kind.
    fn scopes(&self, rule: &Rule) -> Vec<Scope<'_>> {
        match rule.source {
            Source::Html => self.document.map(Scope::page).into_iter().collect(),
            Source::Json => self.json.iter().map(Scope::Json).collect(),
            // Without a base each object is an item.
            Source::JsonLd if rule.base.is_none() => {
                self.json_ld.iter().filter_map(Value::as_array).flatten().map(Scope::Json).collect()
            }
            Source::JsonLd => self.json_ld.iter().map(Scope::Json).collect(),
            Source::OpenGraph => self.open_graph.iter().map(Scope::Json).collect(),
            Source::Meta => self.meta.iter().map(Scope::Json).collect(),
        }
    }
}

/// Reads the items of one page.
pub(super) struct Reader<'a, 'm> {
    values: Values<'a>,
    meter: &'m mut Meter,
    rule: &'a str,
    pub(super) items: Vec<Item>,
    pub(super) errors: Vec<ItemError>,
}

impl<'a, 'm> Reader<'a, 'm> {
    pub(super) fn new(values: Values<'a>, meter: &'m mut Meter) -> Self {
        Self { values, meter, rule: "", items: Vec::new(), errors: Vec::new() }
    }

    /// Adds the items of `rule`, in document order.
    pub(super) fn read(&mut self, rule: &'a Rule, sources: &'a Sources<'_>) -> Result<(), ExtractError> {
        self.rule = &rule.name;
        let mut keys = HashSet::new();
        for scope in sources.scopes(rule) {
            match &rule.base {
                None => self.read_item(rule, &scope, &mut keys)?,
                Some(base) => {
                    for item in scope.select_all(base, self.meter)? {
                        self.read_item(rule, &item, &mut keys)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_item(&mut self, rule: &'a Rule, scope: &Scope<'a>, keys: &mut HashSet<String>) -> Result<(), ExtractError> {
        let Some(fields) = self.object(&rule.fields, scope, "")? else {
            return Ok(());
        };
        if fields.is_empty() {
            return Ok(());
        }
        let key = schema::item_key(&rule.name, &rule.key, &fields);
        if let Some(schema) = &rule.schema {
            let value = Value::Object(fields.clone());
            self.meter.check()?;
            if let Some((place, message)) = schema.fault(&value) {
                self.complain(place, format!("breaks the schema: {message}"));
                return Ok(());
            }
        }
        let mut item = Map::new();
        item.insert("_type".to_owned(), Value::String(rule.name.clone()));
        if let Some(key) = key {
            item.insert("_key".to_owned(), Value::String(key.clone()));
            if !keys.insert(key) {
                return Ok(());
            }
        }
        item.extend(fields);
        self.meter.charge(ENTRY_BYTES + rule.name.len())?;
        self.items.push(item);
        Ok(())
    }

    /// An object of `fields`; `None` if a required one is missing.
    fn object(
        &mut self,
        fields: &'a [CompiledField],
        scope: &Scope<'a>,
        parent: &str,
    ) -> Result<Option<Map<String, Value>>, ExtractError> {
        let mut object = Map::new();
        for field in fields {
            let path = if parent.is_empty() { field.name.clone() } else { format!("{parent}.{}", field.name) };
            let value = match self.field(field, scope, &path)? {
                Ok(value) => value,
                Err(missing) => match &field.default {
                    Some(default) => {
                        self.meter.charge(field.default_bytes)?;
                        default.clone()
                    }
                    None if field.required => {
                        self.complain(path, format!("required, but {missing}"));
                        return Ok(None);
                    }
                    None => continue,
                },
            };
            self.meter.charge(ENTRY_BYTES + field.name.len())?;
            object.insert(field.name.clone(), value);
        }
        Ok(Some(object))
    }

    fn field(
        &mut self,
        field: &'a CompiledField,
        scope: &Scope<'a>,
        path: &str,
    ) -> Result<Result<Value, Missing>, ExtractError> {
        let found = if field.list {
            self.list(field, scope, path)?
        } else {
            let place = match &field.selector {
                None => Some(scope.clone()),
                Some(selector) => scope.select_first(selector, self.meter)?,
            };
            match place {
                Some(place) => self.value(field, place.single(), path)?,
                None => Err(Missing::NoMatch),
            }
        };
        match found {
            Ok(value) => field.steps.value(value, self.meter).map(Ok),
            Err(missing) => Ok(Err(missing)),
        }
    }

    /// Every match; what yields nothing is left out, and a list of nothing is nothing.
    fn list(
        &mut self,
        field: &'a CompiledField,
        scope: &Scope<'a>,
        path: &str,
    ) -> Result<Result<Value, Missing>, ExtractError> {
        let mut places = match &field.selector {
            None => vec![scope.clone()],
            Some(selector) => scope.select_all(selector, self.meter)?,
        };
        if places.len() == 1 {
            places = places.into_iter().flat_map(Scope::elements).collect();
        }
        let mut list = Vec::new();
        let mut why = Missing::NoMatch;
        for (index, place) in places.into_iter().enumerate() {
            match self.value(field, place, &format!("{path}[{index}]"))? {
                Ok(value) => {
                    self.meter.charge(ENTRY_BYTES)?;
                    list.push(value);
                }
                Err(missing) => why = missing,
            }
        }
        Ok(if list.is_empty() { Err(why) } else { Ok(Value::Array(list)) })
    }

    /// What the field reads from one place.
    fn value(
        &mut self,
        field: &'a CompiledField,
        place: Scope<'a>,
        path: &str,
    ) -> Result<Result<Value, Missing>, ExtractError> {
        if let Kind::Nested(fields) = &field.kind {
            let object = self.object(fields, &place, path)?;
            return Ok(object.filter(|object| !object.is_empty()).map(Value::Object).ok_or(Missing::Empty));
        }
        self.values.read(&field.kind, &field.steps, &place, self.meter)
    }

    fn complain(&mut self, field: String, message: String) {
        if self.errors.len() < MAX_ITEM_ERRORS {
            self.errors.push(ItemError { rule: self.rule.to_owned(), field, message });
        }
    }
}
