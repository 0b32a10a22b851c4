//! Apache Parquet: one row group, every column optional.

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

pub(super) fn write(table: &Table, items: &[Box<RawValue>]) -> Result<Vec<u8>, ExportError> {
    let mut columns: Vec<Cells> = table.columns.iter().map(|column| Cells::of(column.holds)).collect();
    for item in items {
        let item = object(item)?;
        for (cells, column) in columns.iter_mut().zip(&table.columns) {
            cells.push(table, column, &item);
        }
    }
    Ok(encode(table, &columns)?)
}

fn encode(table: &Table, columns: &[Cells]) -> Result<Vec<u8>, ParquetError> {
    let fields = table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("item").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for cells in columns {
        let Some(mut open) = group.next_column()? else { break };
        cells.write(open.untyped())?;
        open.close()?;
    }
    group.close()?;
    writer.into_inner()
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
