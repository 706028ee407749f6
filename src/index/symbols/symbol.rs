//! What a symbol is.

use serde::{Deserialize, Serialize};

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum SymbolKind {
    /// A module, namespace or package.
    Module,
    /// A class.
    Class,
    /// A struct or record.
    Struct,
    /// A union.
    Union,
    /// An interface, trait or protocol.
    Interface,
    /// An enumeration.
    Enum,
    /// One of an enumeration's values.
    EnumMember,
    /// A name for another type.
    Type,
    /// A function.
    Function,
    /// A function of a type.
    Method,
    /// A macro.
    Macro,
    /// A constant.
    Constant,
    /// A variable outside functions.
    Variable,
    /// A variable of a type.
    Field,
    /// A heading of a text.
    Heading,
}

impl SymbolKind {
    /// All of them, each at its number.
    pub const ALL: [SymbolKind; 15] = [
        SymbolKind::Module,
        SymbolKind::Class,
        SymbolKind::Struct,
        SymbolKind::Union,
        SymbolKind::Interface,
        SymbolKind::Enum,
        SymbolKind::EnumMember,
        SymbolKind::Type,
        SymbolKind::Function,
        SymbolKind::Method,
        SymbolKind::Macro,
        SymbolKind::Constant,
        SymbolKind::Variable,
        SymbolKind::Field,
        SymbolKind::Heading,
    ];

    /// Its name on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            SymbolKind::Module => "module",
            SymbolKind::Class => "class",
            SymbolKind::Struct => "struct",
            SymbolKind::Union => "union",
            SymbolKind::Interface => "interface",
            SymbolKind::Enum => "enum",
            SymbolKind::EnumMember => "enumMember",
            SymbolKind::Type => "type",
            SymbolKind::Function => "function",
            SymbolKind::Method => "method",
            SymbolKind::Macro => "macro",
            SymbolKind::Constant => "constant",
            SymbolKind::Variable => "variable",
            SymbolKind::Field => "field",
            SymbolKind::Heading => "heading",
        }
    }

    pub(super) fn from_number(number: u8) -> Option<SymbolKind> {
        SymbolKind::ALL.get(usize::from(number)).copied()
    }

    /// Whether functions inside it are its methods, and variables inside it its fields.
    pub(super) fn is_type(self) -> bool {
        use SymbolKind::*;
        matches!(self, Class | Struct | Union | Interface | Enum | Type)
    }

    /// Whether data inside it is its own.
    pub(super) fn is_function(self) -> bool {
        matches!(self, SymbolKind::Function | SymbolKind::Method)
    }

    /// Whether it is worth finding only where it isn't a function's own.
    pub(super) fn is_data(self) -> bool {
        matches!(self, SymbolKind::Constant | SymbolKind::Variable | SymbolKind::Field)
    }
}

/// Where a name begins in its line, counted in the units of each encoding an editor may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Column {
    /// Bytes.
    pub utf8: u32,
    /// UTF-16 code units.
    pub utf16: u32,
    /// Code points.
    pub utf32: u32,
}

/// A definition in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Symbol {
    /// As it is written.
    pub name: String,
    /// What it names.
    pub kind: SymbolKind,
    /// Of its name, from 0.
    pub line: u32,
    /// Of its name.
    pub column: Column,
    /// The name of what it is in; empty when it is in nothing that has one.
    pub container: String,
    /// The names of what that is in, the outermost first, one a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outer: String,
    /// It is declared here, and defined elsewhere if at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_declaration: bool,
}
