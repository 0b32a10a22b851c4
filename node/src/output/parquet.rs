//! Apache Parquet: groups of rows, every column optional.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::ExportError;
use super::columns::{Column, ColumnType, Table, object};

/// Rows of one group, at most.
const GROUP_ROWS: usize = 50_000;
/// Bytes of the items of one group, at most about: what a file in the making keeps in memory.
const GROUP_BYTES: usize = 16 << 20;

/// A file in the making: groups of rows as they come, and where they are at its end.
pub struct ParquetFile<W: Write + Send> {
    table: Table,
    writer: SerializedFileWriter<W>,
    cells: Vec<Cells>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file of the columns of `table` that is written to `to` from its beginning to its end.
    ///
    /// # Errors
    /// [`ExportError::Parquet`] if nothing can be written there.
    pub fn begin(table: Table, to: W) -> Result<Self, ExportError> {
        let fields = table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(Type::group_type_builder("item").with_fields(fields).build()?);
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
        let writer = SerializedFileWriter::new(to, schema, Arc::new(properties))?;
        Ok(Self { cells: Cells::of_table(&table), table, writer, rows: 0, bytes: 0 })
    }

    /// Adds an item; a group that is full is written.
    ///
    /// # Errors
    /// [`ExportError::Item`], [`ExportError::Parquet`].
    pub fn add(&mut self, item: &RawValue) -> Result<(), ExportError> {
        let fields = object(item)?;
        for (cells, column) in self.cells.iter_mut().zip(&self.table.columns) {
            cells.push(&self.table, column, &fields);
        }
        self.rows += 1;
        self.bytes += item.get().len();
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    /// [`ExportError::Parquet`]; without its end nobody can read the file.
    pub fn finish(mut self) -> Result<W, ExportError> {
        if self.rows > 0 {
            self.end_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    fn end_group(&mut self) -> Result<(), ExportError> {
        let mut group = self.writer.next_row_group()?;
        for cells in &self.cells {
            let Some(mut open) = group.next_column()? else { break };
            cells.write(open.untyped())?;
            open.close()?;
        }
        group.close()?;
        (self.cells, self.rows, self.bytes) = (Cells::of_table(&self.table), 0, 0);
        Ok(())
    }
}

pub(super) fn write(table: &Table, items: &[Box<RawValue>]) -> Result<Vec<u8>, ExportError> {
    let mut file = ParquetFile::begin(table.clone(), Vec::new())?;
    for item in items {
        file.add(item)?;
    }
    file.finish()
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.holds {
        ColumnType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnType::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnType::Number => (Physical::DOUBLE, None),
        ColumnType::Whole => (Physical::INT64, None),
        ColumnType::Moment => {
            let unit = parquet::basic::TimeUnit::MILLIS;
            (Physical::INT64, Some(LogicalType::timestamp(true, unit)))
        }
    };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// The cells of one column: a level says whether there is a value, as every column is optional.
struct Cells {
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Bytes(Vec<ByteArray>),
    Double(Vec<f64>),
    Whole(Vec<i64>),
}

impl Cells {
    fn of_table(table: &Table) -> Vec<Self> {
        table.columns.iter().map(|column| Self::of(column.holds)).collect()
    }

    fn of(holds: ColumnType) -> Self {
        let values = match holds {
            ColumnType::Text | ColumnType::Json => Values::Bytes(Vec::new()),
            ColumnType::Number => Values::Double(Vec::new()),
            ColumnType::Whole | ColumnType::Moment => Values::Whole(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }

    fn push(&mut self, table: &Table, column: &Column, item: &Map<String, Value>) {
        let is_there = match &mut self.values {
            Values::Bytes(values) => bytes(table, column, item).map(|cell| values.push(cell)),
            Values::Double(values) => item.get(&column.name).and_then(Value::as_f64).map(|cell| values.push(cell)),
            Values::Whole(values) => whole(column, item).map(|cell| values.push(cell)),
        };
        self.levels.push(i16::from(is_there.is_some()));
    }

    fn write(&self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match (writer, &self.values) {
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Bytes(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Double(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Whole(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            _ => return Err(ParquetError::General("a column has a type that is not used".to_owned())),
        }
        Ok(())
    }
}

fn bytes(table: &Table, column: &Column, item: &Map<String, Value>) -> Option<ByteArray> {
    let text = match (column.holds, item.get(&column.name)) {
        (ColumnType::Json, Some(value)) => value.to_string(),
        _ => table.text(column, item)?,
    };
    Some(ByteArray::from(text.into_bytes()))
}

fn whole(column: &Column, item: &Map<String, Value>) -> Option<i64> {
    let value = item.get(&column.name)?;
    match column.holds {
        ColumnType::Moment => Some(value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
        _ => value.as_i64(),
    }
}
