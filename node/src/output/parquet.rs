//! Apache Parquet: one row group, every column optional.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::columns::{Column, ColumnType, Table};

pub(super) fn write(table: &Table, items: &[Map<String, Value>]) -> Result<Vec<u8>, ParquetError> {
    let fields = table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("item").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in &table.columns {
        let Some(mut open) = group.next_column()? else { break };
        fill(open.untyped(), table, column, items)?;
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

fn fill(
    writer: &mut ColumnWriter<'_>,
    table: &Table,
    column: &Column,
    items: &[Map<String, Value>],
) -> Result<(), ParquetError> {
    let present = |is: bool| i16::from(is);
    match writer {
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let cells: Vec<Option<ByteArray>> = items.iter().map(|item| bytes(table, column, item)).collect();
            let levels: Vec<i16> = cells.iter().map(|cell| present(cell.is_some())).collect();
            let values: Vec<ByteArray> = cells.into_iter().flatten().collect();
            writer.write_batch(&values, Some(&levels), None)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let cells: Vec<Option<f64>> = items.iter().map(|item| item.get(&column.name)?.as_f64()).collect();
            let levels: Vec<i16> = cells.iter().map(|cell| present(cell.is_some())).collect();
            let values: Vec<f64> = cells.into_iter().flatten().collect();
            writer.write_batch(&values, Some(&levels), None)?;
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let cells: Vec<Option<i64>> = items.iter().map(|item| whole(column, item)).collect();
            let levels: Vec<i16> = cells.iter().map(|cell| present(cell.is_some())).collect();
            let values: Vec<i64> = cells.into_iter().flatten().collect();
            writer.write_batch(&values, Some(&levels), None)?;
        }
        _ => return Err(ParquetError::General(format!("the column {} has a type that is not used", column.name))),
    }
    Ok(())
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
