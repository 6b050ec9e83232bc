//! How ids, times and JSON are written in a column: one type each, with one encoding per database. Nothing else in the
//! store spells one out.

use countersign_core::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
pub(super) use sqlx::types::Text;
use sqlx::{
    Database, Decode, Encode, Sqlite, Type, encode::IsNull, error::BoxDynError,
    sqlite::SqliteTypeInfo,
};

/// A moment: integer milliseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct At(pub(super) Timestamp);

/// A value as JSON text, exactly as serde writes it.
pub(super) struct Json<T>(pub(super) T);

/// A count or size that the core holds unsigned: an integer, which databases have signed.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) u64);

/// A truth: 0 or 1.
#[derive(Clone, Copy)]
pub(super) struct Flag(pub(super) bool);

macro_rules! stored_as {
    ($type:ty, $stored:ty) => {
        impl Type<Sqlite> for $type {
            fn type_info() -> SqliteTypeInfo {
                <$stored as Type<Sqlite>>::type_info()
            }
            fn compatible(info: &SqliteTypeInfo) -> bool {
                <$stored as Type<Sqlite>>::compatible(info)
            }
        }
    };
}

stored_as!(At, i64);
stored_as!(Count, i64);
stored_as!(Flag, i64);

type Buffer = <Sqlite as Database>::ArgumentBuffer;
type Value<'r> = <Sqlite as Database>::ValueRef<'r>;

impl Encode<'_, Sqlite> for At {
    fn encode_by_ref(&self, buffer: &mut Buffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Sqlite>>::encode(self.0.as_millis(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for At {
    fn decode(value: Value<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(|millis| Self(Timestamp::from_millis(millis)))
    }
}

impl Encode<'_, Sqlite> for Count {
    fn encode_by_ref(&self, buffer: &mut Buffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Sqlite>>::encode(i64::try_from(self.0)?, buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Count {
    fn decode(value: Value<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(u64::try_from(<i64 as Decode<Sqlite>>::decode(value)?)?))
    }
}

impl Encode<'_, Sqlite> for Flag {
    fn encode_by_ref(&self, buffer: &mut Buffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Sqlite>>::encode(i64::from(self.0), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Flag {
    fn decode(value: Value<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(|stored| Self(stored != 0))
    }
}

impl<T> Type<Sqlite> for Json<T> {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
    fn compatible(info: &SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(info)
    }
}

impl<T: Serialize> Encode<'_, Sqlite> for Json<T> {
    fn encode_by_ref(&self, buffer: &mut Buffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<Sqlite>>::encode(serde_json::to_string(&self.0)?, buffer)
    }
}

impl<'r, T: DeserializeOwned> Decode<'r, Sqlite> for Json<T> {
    fn decode(value: Value<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Ok(Self(serde_json::from_str(text)?))
    }
}

/// A closed set of words of the core (`State`, `Access`, `Outcome`…), written as serde writes it, without the quotes.
#[derive(Clone, Copy)]
pub(super) struct Word<T>(pub(super) T);

impl<T> Type<Sqlite> for Word<T> {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
    fn compatible(info: &SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(info)
    }
}

impl<T: Serialize> Encode<'_, Sqlite> for Word<T> {
    fn encode_by_ref(&self, buffer: &mut Buffer) -> Result<IsNull, BoxDynError> {
        match serde_json::to_value(&self.0)? {
            serde_json::Value::String(word) => <String as Encode<Sqlite>>::encode(word, buffer),
            other => Err(format!("`{other}` is not a word").into()),
        }
    }
}

impl<'r, T: DeserializeOwned> Decode<'r, Sqlite> for Word<T> {
    fn decode(value: Value<'r>) -> Result<Self, BoxDynError> {
        let word = <String as Decode<Sqlite>>::decode(value)?;
        Ok(Self(serde_json::from_value(serde_json::Value::String(word))?))
    }
}
