// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IDE's methods by their names on the wire.

/// A method of the IDE's `PLCObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Adds to a blob.
    AppendChunkToBlob,
    /// Makes a call by its name.
    ExtendedCall,
    /// Reads one message of the PLC log, or the statistics of the cycle.
    GetLogMessage,
    /// Reads the connection's identity and key.
    GetPlcId,
    /// Reads state and log counts.
    GetPlcStatus,
    /// Takes trace samples.
    GetTraceVariables,
    /// Compares the installed program.
    MatchMd5,
    /// Installs a program.
    NewPlc,
    /// Drops unfinished blobs.
    PurgeBlobs,
    /// Runs a Python script.
    RemoteExec,
    /// Forgets the program.
    RepairPlc,
    /// Empties the PLC log.
    ResetLogCount,
    /// Begins a blob.
    SeedBlob,
    /// Sets traced and forced variables.
    SetTraceVariablesList,
    /// Starts the program.
    StartPlc,
    /// Stops the program.
    StopPlc,
}

impl Method {
    /// All of them, in the order in which the reference runtime has come to list them.
    pub const ALL: [Self; 16] = [
        Self::AppendChunkToBlob,
        Self::GetLogMessage,
        Self::GetPlcId,
        Self::GetPlcStatus,
        Self::GetTraceVariables,
        Self::MatchMd5,
        Self::NewPlc,
        Self::PurgeBlobs,
        Self::RemoteExec,
        Self::RepairPlc,
        Self::ResetLogCount,
        Self::SeedBlob,
        Self::SetTraceVariablesList,
        Self::StartPlc,
        Self::StopPlc,
        Self::ExtendedCall,
    ];

    /// The name in Pyro and WAMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AppendChunkToBlob => "AppendChunkToBlob",
            Self::ExtendedCall => "ExtendedCall",
            Self::GetLogMessage => "GetLogMessage",
            Self::GetPlcId => "GetPLCID",
            Self::GetPlcStatus => "GetPLCstatus",
            Self::GetTraceVariables => "GetTraceVariables",
            Self::MatchMd5 => "MatchMD5",
            Self::NewPlc => "NewPLC",
            Self::PurgeBlobs => "PurgeBlobs",
            Self::RemoteExec => "RemoteExec",
            Self::RepairPlc => "RepairPLC",
            Self::ResetLogCount => "ResetLogCount",
            Self::SeedBlob => "SeedBlob",
            Self::SetTraceVariablesList => "SetTraceVariablesList",
            Self::StartPlc => "StartPLC",
            Self::StopPlc => "StopPLC",
        }
    }

    /// The method with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The request number in eRPC; there is none for `RemoteExec`.
    #[must_use]
    pub const fn erpc_id(self) -> Option<u8> {
        Some(match self {
            Self::AppendChunkToBlob => 1,
            Self::GetLogMessage => 2,
            Self::GetPlcId => 3,
            Self::GetPlcStatus => 4,
            Self::GetTraceVariables => 5,
            Self::MatchMd5 => 6,
            Self::NewPlc => 7,
            Self::PurgeBlobs => 8,
            Self::RepairPlc => 9,
            Self::ResetLogCount => 10,
            Self::SeedBlob => 11,
            Self::SetTraceVariablesList => 12,
            Self::StartPlc => 13,
            Self::StopPlc => 14,
            Self::ExtendedCall => 15,
            Self::RemoteExec => return None,
        })
    }

    /// The method with this eRPC request number.
    #[must_use]
    pub fn from_erpc_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.erpc_id() == Some(id))
    }
}
