//! Reading the fields of an item from the tree.

use ego_tree::NodeRef;
use scraper::{ElementRef, Node, Selector};
use serde_json::{Map, Value};
use url::Url;

use super::budget::Meter;
use super::compile::{CompiledField, Kind, Rule};
use super::document::Document;
use super::{ExtractError, Item, ItemError, number, text};

/// Most complaints kept of one page; they repeat each other.
const MAX_ITEM_ERRORS: usize = 100;

/// What an entry of a map or list costs besides its content.
const ENTRY_BYTES: usize = 32;

/// Reads the items of one page.
pub(super) struct Reader<'a> {
    document: &'a Document,
    meter: &'a mut Meter,
    rule: &'a str,
    pub(super) items: Vec<Item>,
    pub(super) errors: Vec<ItemError>,
}

/// Where selectors look: below `node`. For the page as a whole that is the document, so that `html` itself can be selected.
#[derive(Clone, Copy)]
struct Scope<'a> {
    node: NodeRef<'a, Node>,
    element: ElementRef<'a>,
}

impl<'a> Scope<'a> {
    fn of(element: ElementRef<'a>) -> Self {
        Self { node: *element, element }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Document, meter: &'a mut Meter) -> Self {
        Self { document, meter, rule: "", items: Vec::new(), errors: Vec::new() }
    }

    /// Adds the items of `rule`, in document order.
    pub(super) fn read(&mut self, rule: &'a Rule) -> Result<(), ExtractError> {
        self.rule = &rule.name;
        let page = Scope { node: self.document.html.tree.root(), element: self.document.root_element() };
        match &rule.base {
            None => self.read_item(rule, page),
            Some(base) => {
                for element in self.select_all(page, base)? {
                    self.read_item(rule, Scope::of(element))?;
                }
                Ok(())
            }
        }
    }

    fn read_item(&mut self, rule: &Rule, scope: Scope<'a>) -> Result<(), ExtractError> {
        let Some(fields) = self.object(&rule.fields, scope, "")? else {
            return Ok(());
        };
        if fields.is_empty() {
            return Ok(());
        }
        let mut item = Map::new();
        item.insert("_type".to_owned(), Value::String(rule.name.clone()));
        item.extend(fields);
        self.meter.charge(ENTRY_BYTES + rule.name.len())?;
        self.items.push(item);
        Ok(())
    }

    /// An object of `fields`; `None` if a required one is missing.
    fn object(
        &mut self,
        fields: &[CompiledField],
        scope: Scope<'a>,
        parent: &str,
    ) -> Result<Option<Map<String, Value>>, ExtractError> {
        let mut object = Map::new();
        for field in fields {
            let path = if parent.is_empty() { field.name.clone() } else { format!("{parent}.{}", field.name) };
            let value = match self.field(field, scope, &path)? {
                Some(value) => Some(value),
                None => {
                    self.meter.charge(field.default_bytes)?;
                    field.default.clone()
                }
            };
            match value {
                Some(value) => {
                    self.meter.charge(ENTRY_BYTES + field.name.len())?;
                    object.insert(field.name.clone(), value);
                }
                None if field.required => {
                    self.complain(path, "required, but nothing was found on the page");
                    return Ok(None);
                }
                None => {}
            }
        }
        Ok(Some(object))
    }

    fn field(&mut self, field: &CompiledField, scope: Scope<'a>, path: &str) -> Result<Option<Value>, ExtractError> {
        if field.list {
            return self.list(&field.kind, field.selector.as_ref(), scope, path);
        }
        match &field.selector {
            None => self.value(&field.kind, scope, path),
            Some(selector) => match self.select_first(scope, selector)? {
                Some(element) => self.value(&field.kind, Scope::of(element), path),
                None => Ok(None),
            },
        }
    }

    /// Every match; elements that yield nothing are left out, and a list of nothing is nothing.
    fn list(
        &mut self,
        each: &Kind,
        selector: Option<&Selector>,
        scope: Scope<'a>,
        path: &str,
    ) -> Result<Option<Value>, ExtractError> {
        let scopes = match selector {
            None => vec![scope],
            Some(selector) => self.select_all(scope, selector)?.into_iter().map(Scope::of).collect(),
        };
        let mut list = Vec::new();
        for (index, scope) in scopes.into_iter().enumerate() {
            if let Some(value) = self.value(each, scope, &format!("{path}[{index}]"))? {
                self.meter.charge(ENTRY_BYTES)?;
                list.push(value);
            }
        }
        Ok((!list.is_empty()).then_some(Value::Array(list)))
    }

    /// What `kind` reads from one element.
    fn value(&mut self, kind: &Kind, scope: Scope<'a>, path: &str) -> Result<Option<Value>, ExtractError> {
        let element = scope.element;
        let text = match kind {
            Kind::Text => Some(text::collapsed(element, self.meter)?),
            Kind::Attribute(name) => element.attr(name).map(str::to_owned),
            Kind::Html => {
                self.meter.check()?;
                Some(element.inner_html())
            }
            Kind::Url { attribute } => url(element, attribute.as_deref(), &self.document.base),
            Kind::Number { attribute } => {
                let found = match attribute {
                    Some(name) => element.attr(name).and_then(number::first),
                    None => number::first(&text::raw(element, self.meter)?),
                };
                return Ok(found);
            }
            Kind::Nested(fields) => {
                let object = self.object(fields, scope, path)?;
                return Ok(object.filter(|o| !o.is_empty()).map(Value::Object));
            }
        };
        if let Some(text) = &text {
            self.meter.charge(text.len())?;
        }
        Ok(text.map(Value::String))
    }

    fn select_first(&mut self, scope: Scope<'a>, selector: &Selector) -> Result<Option<ElementRef<'a>>, ExtractError> {
        for element in scope.node.descendants().skip(1).filter_map(ElementRef::wrap) {
            self.meter.step()?;
            if selector.matches_with_scope(&element, Some(scope.element)) {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    fn select_all(&mut self, scope: Scope<'a>, selector: &Selector) -> Result<Vec<ElementRef<'a>>, ExtractError> {
        let mut found = Vec::new();
        for element in scope.node.descendants().skip(1).filter_map(ElementRef::wrap) {
            self.meter.step()?;
            if selector.matches_with_scope(&element, Some(scope.element)) {
                found.push(element);
            }
        }
        Ok(found)
    }

    fn complain(&mut self, field: String, message: &str) {
        if self.errors.len() < MAX_ITEM_ERRORS {
            self.errors.push(ItemError { rule: self.rule.to_owned(), field, message: message.to_owned() });
        }
    }
}

/// The attribute's URL, made absolute; nothing if it is none.
fn url(element: ElementRef<'_>, attribute: Option<&str>, base: &Url) -> Option<String> {
    let written = match attribute {
        Some(name) => element.attr(name),
        None => element.attr("href").or_else(|| element.attr("src")),
    }?;
    base.join(written).ok().map(String::from)
}
