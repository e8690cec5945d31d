"""What kind of problem stopped a batch, and what to do about it: in both languages, around the technical detail."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.reporting.metrics import FeedFigures


@dataclass(frozen=True)
class ProblemText:
    """What happened and what to do, in Chinese and English; ``owner`` is who acts first."""

    title_zh: str
    fix_zh: str
    title_en: str
    fix_en: str
    owner: str


# By the name of the error; each has an exit code of its own in the command line.
_BY_FAILURE = {
    "CatalogueError": ProblemText(
        "配置有误：报送源、信息类别或规则的描述文件不能使用",
        "请归集平台按技术详情所示的文件和行号更正配置，然后重新运行本批。",
        "Configuration: a file that describes feed, category or rules cannot be used",
        "Correct the file and line named in the detail, then run the batch again.",
        "us",
    ),
    "ExtractError": ProblemText(
        "报送文件有误：文件缺失、无法读取或与约定的格式不符",
        "请报送部门检查并重新提供该业务日期的文件；提供后重新运行本批。",
        "Extract: the file is missing, unreadable or not what the feed declares",
        "Ask the department to check and send the file again, then run the batch again.",
        "department",
    ),
    "SourceError": ProblemText(
        "数据来源不可用：服务器没有应答、拒绝访问或应答不符合约定",
        "请先确认来源服务器、网络和账号；恢复后重新运行本批，已提供的数据不会丢失。",
        "Source: it does not answer, refuses us, or answers unexpectedly",
        "Check server, network and account, then run the batch again; nothing at the source is lost.",
        "us",
    ),
    "BatchHeldError": ProblemText(
        "本批与以往或约定明显不同，已暂停，等待数据专员核实",
        "请数据专员核实：情况属实的予以放行，有误的请报送部门更正后重新报送；核实之前不发布任何数据。",
        "The batch differs from what was agreed or usual and waits for a steward",
        "Check it: release it if it is right, otherwise have it sent again. Nothing is published before that.",
        "us",
    ),
    "ConservationError": ProblemText(
        "行数不平衡：各处理结果之和与收到的行数不等",
        "没有发布任何数据。请归集平台技术人员查明原因，报送部门无须处理。",
        "Rows do not add up: outcomes and received rows differ",
        "Nothing was published. This is for the platform's engineers; the department has nothing to do.",
        "us",
    ),
    "DeliveryError": ProblemText(
        "上级平台不可用或拒绝接收",
        "请确认接收方地址、账号和网络；恢复后再次报送，不会重复。",
        "Receiver: it is down or refuses us",
        "Check address, account and network, then deliver again; nothing is delivered twice.",
        "upper",
    ),
    "RunConflictError": ProblemText(
        "本批同时被另一次运行占用",
        "请等待另一次运行结束，必要时重新运行本批。",
        "Another run holds this batch",
        "Wait until it has ended and run the batch again if needed.",
        "us",
    ),
    "CalendarError": ProblemText(
        "工作日历不完整，无法推算时限",
        "请归集平台载入国务院办公厅公布的放假安排，然后重新运行本批。",
        "Calendar: the working-day calendar cannot answer",
        "Load the published public holidays, then run the batch again.",
        "us",
    ),
    "StorageError": ProblemText(
        "存储有误：磁盘、数据湖或台账无法写入，或文件缺失",
        "请归集平台检查磁盘空间和权限，然后重新运行本批。",
        "Storage: disk, lake or ledger cannot be written, or a file is missing",
        "Check disk space and permissions, then run the batch again.",
        "us",
    ),
}
_HELD = _BY_FAILURE["BatchHeldError"]
_UNKNOWN = ProblemText(
    "归集失败，原因未归类",
    "没有发布任何数据。请归集平台按技术详情处理后重新运行本批。",
    "The batch failed for a reason without a kind",
    "Nothing was published. Follow the detail, then run the batch again.",
    "us",
)
_MISSING = ProblemText(
    "本业务日期没有归集任何数据",
    "请先确认夜间任务是否运行，再确认报送部门是否报送；补报后重新运行本批。",
    "No data for this business date",
    "Check that the nightly run took place and that the department sent something, then run the batch.",
    "us",
)
_RUNNING = ProblemText(
    "本批仍在归集，或上次运行意外中断",
    "若长时间没有进展，请重新运行本批；中断的运行不会留下任何数据。",
    "The batch is still running, or a run was interrupted",
    "If nothing moves, run the batch again; an interrupted run leaves nothing behind.",
    "us",
)


def problem_text(figures: FeedFigures) -> ProblemText:
    """What stopped a batch that was not published."""
    if figures.state == "missing":
        return _MISSING
    if figures.state == "running":
        return _RUNNING
    return _BY_FAILURE.get(figures.failure, _HELD if figures.state == "held" else _UNKNOWN)
