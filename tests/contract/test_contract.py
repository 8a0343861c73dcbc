#!/usr/bin/python3
"""Rules of the contract that buf doesn't know, checked on generated/descriptors.binpb."""
import re, subprocess, sys, tempfile, unittest
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "flowengine.v1"
FIELD = descriptor_pb2.FieldDescriptorProto
FILES = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes())
OWN = [f for f in FILES.file if f.package == PACKAGE]

POOL = descriptor_pool.DescriptorPool()
for file in FILES.file:
    POOL.Add(file)


def options_class(name):
    """The options message as this contract extends it, so that extensions are not unknown fields."""
    return message_factory.MessageFactory(POOL).GetPrototype(POOL.FindMessageTypeByName("google.protobuf." + name))


METHOD_OPTIONS, FIELD_OPTIONS = options_class("MethodOptions"), options_class("FieldOptions")
HTTP = POOL.FindExtensionByName("google.api.http")
FIELD_RULES = POOL.FindExtensionByName(PACKAGE + ".field_rules")
STREAM_RULES = POOL.FindExtensionByName(PACKAGE + ".stream_rules")

# What a query parameter can carry besides scalars and enums.
QUERY_MESSAGES = {"google.protobuf." + n for n in (
    "Timestamp", "Duration", "FieldMask", "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value",
    "UInt32Value", "BoolValue", "StringValue", "BytesValue")}
GRPC_CODES = set("CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
                 "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE "
                 "DATA_LOSS UNAUTHENTICATED".split())

# method: verb, path, body, response_body. Clients have these in their code.
ROUTES = """
WorkflowService.CreateWorkflow          POST   /v1/workflows                                       workflow workflow
WorkflowService.GetWorkflow             GET    /v1/workflows/{workflow_id}                         -        workflow
WorkflowService.ListWorkflows           GET    /v1/workflows                                       -        -
WorkflowService.UpdateWorkflow          PATCH  /v1/workflows/{workflow.id}                         workflow workflow
WorkflowService.DeleteWorkflow          DELETE /v1/workflows/{workflow_id}                         -        -
WorkflowService.ListWorkflowRevisions   GET    /v1/workflows/{workflow_id}/revisions               -        -
WorkflowService.ValidateWorkflow        POST   /v1/workflows:validate                              *        -
WorkflowService.AnalyzeWorkflow         GET    /v1/workflows/{workflow_id}:analyze                 -        analysis
ProductionService.StartRun              POST   /prod/start                                         *        run
ProductionService.StopRun               POST   /prod/stop                                          *        run
ProductionService.PauseRun              POST   /prod/pause                                         *        run
ProductionService.ResumeRun             POST   /prod/resume                                        *        run
ProductionService.RestartRun            POST   /prod/restart                                       *        run
ProductionService.GetRun                GET    /v1/runs/{run_id}                                   -        run
ProductionService.ListRuns              GET    /v1/runs                                            -        -
ProductionService.WatchRun              GET    /v1/runs/{run_id}:watch                             -        event
ProductionService.DeleteRun             DELETE /v1/runs/{run_id}                                   -        -
ProductionService.ListUnits             GET    /v1/runs/{run_id}/units                             -        -
ProductionService.TraceUnit             GET    /v1/units/{payload_id}:trace                        -        trace
DevelopmentService.ExecuteNode          POST   /dev/execute                                        *        -
DevelopmentService.GetNodeInput         GET    /dev/sessions/{session_id}/nodes/{node_id}/input    -        -
DevelopmentService.GetNodeOutput        GET    /dev/sessions/{session_id}/nodes/{node_id}/output   -        output
DevelopmentService.SetNodeOutput        PUT    /dev/sessions/{session_id}/nodes/{node_id}/output   output   output
DevelopmentService.ClearNodeOutput      DELETE /dev/sessions/{session_id}/nodes/{node_id}/output   -        -
DevelopmentService.ListNodeOutputs      GET    /dev/sessions/{session_id}                          -        -
DevelopmentService.ClearSession         DELETE /dev/sessions/{session_id}                          -        -
DevelopmentService.LoadSession          POST   /dev/sessions/{session_id}:load                     *        -
DevelopmentService.RenderTemplate       POST   /dev/render                                         *        -
NodeTypeService.ListNodeTypes           GET    /v1/nodeTypes                                       -        -
NodeTypeService.GetNodeType             GET    /v1/nodeTypes/{type}                                -        node_type
NodeTypeService.GetForm                 POST   /v1/nodeTypes/{type}:form                           *        form
NodeTypeService.UpdateFormField         POST   /v1/nodeTypes/{type}:updateField                    *        -
QueueService.ListQueues                 GET    /v1/queues                                          -        -
QueueService.GetQueue                   GET    /v1/queues/{queue}                                  -        queue
QueueService.UpdateQueue                PATCH  /v1/queues/{queue.name}                             queue    queue
QueueService.PushPayloads               POST   /v1/queues/{queue}:push                             *        -
QueueService.PeekPayloads               GET    /v1/queues/{queue}/payloads                         -        -
QueueService.DeletePayloads             POST   /v1/queues/{queue}:deletePayloads                   *        -
QueueService.MovePayloads               POST   /v1/queues/{queue}:movePayloads                     *        -
QueueService.PurgeQueue                 POST   /v1/queues/{queue}:purge                            *        -
QueueService.PauseQueue                 POST   /v1/queues/{queue}:pause                            *        queue
QueueService.ResumeQueue                POST   /v1/queues/{queue}:resume                           *        queue
QueueService.GetLedger                  GET    /v1/ledger                                          -        ledger
DeadLetterService.ListDeadLetters       GET    /v1/deadLetters                                     -        -
DeadLetterService.GroupDeadLetters      GET    /v1/deadLetters:group                               -        -
DeadLetterService.GetDeadLetter         GET    /v1/deadLetters/{id}                                -        dead_letter
DeadLetterService.EditDeadLetter        POST   /v1/deadLetters/{id}:edit                           *        dead_letter
DeadLetterService.RedriveDeadLetters    POST   /v1/deadLetters:redrive                             *        redrive
DeadLetterService.GetRedrive            GET    /v1/redrives/{redrive_id}                           -        redrive
DeadLetterService.ListRedrives          GET    /v1/redrives                                        -        -
DeadLetterService.CancelRedrive         POST   /v1/redrives/{redrive_id}:cancel                    *        redrive
DeadLetterService.ExportDeadLetters     GET    /v1/deadLetters:export                              -        dead_letter
DeadLetterService.DeleteDeadLetters     POST   /v1/deadLetters:delete                              *        -
DeadLetterService.WatchDeadLetters      GET    /v1/deadLetters:watch                               -        event
WebhookService.Receive                  POST   /webhooks/{webhook_id}                              body     body
WorkerService.Attach                    GET    /v1/workers:attach                                  -        -
WorkerService.ListWorkers               GET    /v1/workers                                         -        -
SystemService.GetServerInfo             GET    /v1/server                                          -        server_info
"""


def messages():
    """(full name, message) of all our messages, nested ones and map entries included."""
    def walk(prefix, found):
        for message in found:
            yield f"{prefix}.{message.name}", message
            yield from walk(f"{prefix}.{message.name}", message.nested_type)
    for file in OWN:
        yield from walk("." + PACKAGE, file.message_type)


MESSAGES = dict(messages())


def methods():
    for file in OWN:
        for service in file.service:
            for method in service.method:
                yield f"{service.name}.{method.name}", method


def method_options(method):
    return METHOD_OPTIONS.FromString(method.options.SerializeToString())


def rules_of(field):
    return FIELD_OPTIONS.FromString(field.options.SerializeToString()).Extensions[FIELD_RULES]


def rule_of(method):
    """verb, path, body, response_body"""
    rule = method_options(method).Extensions[HTTP]
    return rule.WhichOneof("pattern").upper(), getattr(rule, rule.WhichOneof("pattern")), rule.body, rule.response_body


def field_at(type_name, path):
    """The field that a dotted path names, or None."""
    for name in path.split("."):
        field = next((f for f in MESSAGES[type_name].field if f.name == name), None) if type_name in MESSAGES else None
        if field is None:
            return None
        type_name = field.type_name
    return field


class Http(unittest.TestCase):
    def test_every_method_has_a_rule(self):
        for name, method in methods():
            self.assertTrue(method_options(method).HasExtension(HTTP), name)

    def test_rules_are_those_that_clients_know(self):
        known = {}
        for line in ROUTES.split("\n"):
            if line:
                name, verb, path, body, response_body = line.split()
                known[name] = (verb, path, body.replace("-", ""), response_body.replace("-", ""))
        self.assertEqual(known, {name: rule_of(method) for name, method in methods()})

    def test_no_two_rules_match_the_same_request(self):
        seen = {}
        for name, method in methods():
            verb, path, _, _ = rule_of(method)
            key = verb, re.sub(r"\{[^}]*\}", "*", path)
            self.assertNotIn(key, seen, f"{name} and {seen.get(key)}")
            seen[key] = name

    def test_paths_name_text_fields_of_the_request(self):
        for name, method in methods():
            path = rule_of(method)[1]
            self.assertRegex(path, r"^(/([A-Za-z0-9]+|\{[a-z_.]+\}))+(:[A-Za-z]+)?$", name)
            for variable in re.findall(r"\{([^}]*)\}", path):
                field = field_at(method.input_type, variable)
                self.assertTrue(field and field.type == FIELD.TYPE_STRING and field.label != FIELD.LABEL_REPEATED,
                                f"{name}: {variable}")

    def test_bodies_are_fields(self):
        for name, method in methods():
            verb, _, body, response_body = rule_of(method)
            if body and body != "*":
                self.assertIsNotNone(field_at(method.input_type, body), name)
            if response_body:
                self.assertIsNotNone(field_at(method.output_type, response_body), name)
            self.assertEqual(verb in ("POST", "PUT", "PATCH"), bool(body), f"{name}: {verb} with body {body!r}")

    def test_what_is_not_in_path_or_body_fits_into_a_query(self):
        def check(where, type_name, skip):
            for field in MESSAGES[type_name].field:
                if field.name in skip:
                    continue
                if field.type == FIELD.TYPE_MESSAGE:
                    self.assertIn(field.type_name[1:], QUERY_MESSAGES, f"{where}: {field.name} can't be a query parameter")
                    self.assertNotEqual(field.label, FIELD.LABEL_REPEATED, f"{where}: {field.name}")
        for name, method in methods():
            _, path, body, _ = rule_of(method)
            if body == "*" or method.client_streaming:
                continue
            check(name, method.input_type, {body} | {v.split(".")[0] for v in re.findall(r"\{([^}]*)\}", path)})

    def test_bidirectional_methods_have_a_get_rule(self):
        for name, method in methods():
            if method.client_streaming:
                self.assertEqual(rule_of(method)[0], "GET", name)

    def test_lists_page(self):
        for name, method in methods():
            fields = [f.name for f in MESSAGES[method.input_type].field]
            if "page_size" not in fields:
                self.assertFalse(re.match(r"\w+\.(List|Peek|Group)", name), name)
                continue
            self.assertIn("page_token", fields, name)
            answer = MESSAGES[method.output_type].field
            self.assertEqual(answer[0].label, FIELD.LABEL_REPEATED, name)
            self.assertEqual(answer[1].name, "next_page_token", name)


class Messages(unittest.TestCase):
    def test_nothing_is_optional(self):
        """protobuf-c's generator refuses the keyword without a wrapper."""
        for name, message in MESSAGES.items():
            for field in message.field:
                self.assertFalse(field.proto3_optional, f"{name}.{field.name}")

    def test_enums_are_nested_and_begin_with_unspecified(self):
        for file in OWN:
            self.assertEqual([e.name for e in file.enum_type], [], file.name)
        for name, message in MESSAGES.items():
            for enum in message.enum_type:
                zero = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_UNSPECIFIED"
                self.assertEqual((enum.value[0].name, enum.value[0].number), (zero, 0), f"{name}.{enum.name}")

    def test_json_names_are_unique_in_either_spelling(self):
        for name, message in MESSAGES.items():
            spellings = [s for f in message.field for s in {f.name, f.json_name}]
            self.assertEqual(len(spellings), len(set(spellings)), name)

    def test_names_make_good_c(self):
        """Members that C or a system header takes for something else."""
        reserved = set("auto break case char const continue default do double else enum extern float for goto if inline int "
                       "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
                       "volatile while asm typeof linux unix errno stdin stdout stderr base".split())
        for name, message in MESSAGES.items():
            for field in message.field:
                self.assertNotIn(field.name, reserved, name)

    def test_field_rules(self):
        for name, message in MESSAGES.items():
            folding = [f for f in message.field if rules_of(f).fold_unknown]
            self.assertLessEqual(len(folding), 1, name)
            for field in folding:
                self.assertEqual(field.type_name, ".google.protobuf.Struct", f"{name}.{field.name}")
            for field in message.field:
                if rules_of(field).required:
                    self.assertTrue(name.endswith("Request"), f"{name}.{field.name}")
                    self.assertFalse(field.HasField("oneof_index"), f"{name}.{field.name}")

    def test_everything_in_a_path_is_required(self):
        for name, method in methods():
            for variable in re.findall(r"\{([^}]*)\}", rule_of(method)[1]):
                field = field_at(method.input_type, variable.split(".")[0])
                self.assertTrue(rules_of(field).required, f"{name}: {variable}")

    def test_stream_rules(self):
        for name, method in methods():
            options = method_options(method)
            if options.HasExtension(STREAM_RULES):
                rules = options.Extensions[STREAM_RULES]
                self.assertEqual(field_at(method.output_type, rules.cursor_field).type, FIELD.TYPE_INT64, name)
                self.assertEqual(field_at(method.input_type, rules.resume_field).type_name, ".google.protobuf.Int64Value", name)
            else:
                self.assertFalse(name.split(".")[1].startswith("Watch"), name)

    def test_event_records_mirror_events(self):
        def kinds(message, oneof):
            index = [o.name for o in message.oneof_decl].index(oneof)
            return {f.name for f in message.field if f.HasField("oneof_index") and f.oneof_index == index}
        with tempfile.NamedTemporaryFile() as out:
            subprocess.run(["protoc", f"-I{ROOT}/proto", "-o", out.name, "flowengine/internal/v1/event_record.proto"], check=True)
            record = descriptor_pb2.FileDescriptorSet.FromString(out.read()).file[0].message_type[0]
        event = MESSAGES[f".{PACKAGE}.RunEvent"]
        self.assertEqual(kinds(record, "event"), kinds(event, "event") - {"snapshot", "stats"})
        self.assertEqual({v.name.lower() for v in event.enum_type[0].value} - {"kind_unspecified"}, kinds(event, "event"))


class Comments(unittest.TestCase):
    def test_every_element_has_one(self):
        missing = []
        for file in OWN:
            comments = {tuple(l.path): l.leading_comments.strip() for l in file.source_code_info.location}

            def need(path, name):
                text = comments.get(tuple(path), "")
                if not re.match(r"\S.*[.:…)]$", text.replace("\n", " ")):
                    missing.append(f"{file.name}: {name}: {text[:40]!r}")

            def enum(path, prefix, e):
                need(path, f"{prefix}.{e.name}")
                for i, value in enumerate(e.value):
                    need(path + [2, i], f"{prefix}.{e.name}.{value.name}")

            def message(path, prefix, m):
                if m.options.map_entry:
                    return
                need(path, f"{prefix}{m.name}")
                for i, f in enumerate(m.field):
                    need(path + [2, i], f"{prefix}{m.name}.{f.name}")
                for i, o in enumerate(m.oneof_decl):
                    need(path + [8, i], f"{prefix}{m.name}.{o.name}")
                for i, n in enumerate(m.nested_type):
                    message(path + [3, i], f"{prefix}{m.name}.", n)
                for i, e in enumerate(m.enum_type):
                    enum(path + [4, i], f"{prefix}{m.name}", e)

            need([2], "the file itself (above its package)")
            for i, m in enumerate(file.message_type):
                message([4, i], "", m)
            for i, s in enumerate(file.service):
                need([6, i], s.name)
                for j, method in enumerate(s.method):
                    need([6, i, 2, j], f"{s.name}.{method.name}")
            for i, extension in enumerate(file.extension):
                need([7, i], extension.name)
        self.assertEqual(missing, [])

    def test_errors_they_name_exist_with_that_code(self):
        file = next(f for f in OWN if f.name.endswith("/error.proto"))
        comments = {tuple(l.path): l.leading_comments.strip() for l in file.source_code_info.location}
        code_of = {}
        for i, value in enumerate(file.message_type[0].enum_type[0].value[1:], 1):
            code_of[value.name] = comments[4, 0, 4, 0, 2, i].split(":")[0]
            self.assertIn(code_of[value.name], GRPC_CODES, value.name)
        named = set()
        for file in OWN:
            for location in file.source_code_info.location:
                if list(location.path[:1]) != [6]:
                    continue
                text = location.leading_comments.replace("\n", " ")
                for code, inside in re.findall(r"\b([A-Z][A-Z_]+) \(([^)]*)\)", text):
                    if code not in GRPC_CODES:
                        continue
                    for reason in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bFENCED\b|\bDRAINING\b", inside):
                        self.assertEqual(code_of.get(reason), code, f"{file.name}: {code} ({reason})")
                        named.add(reason)
        self.assertGreater(len(named), 40)


class Reflection(unittest.TestCase):
    def test_the_set_is_complete_and_in_order(self):
        seen = set()
        for file in FILES.file:
            self.assertLessEqual(set(file.dependency), seen, file.name)
            seen.add(file.name)
        self.assertFalse([n for n in seen if "/internal/" in n])
        for name in ("grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto", "google/rpc/error_details.proto",
                     "grpc/reflection/v1alpha/reflection.proto", "google/protobuf/descriptor.proto"):
            self.assertIn(name, seen)

    def test_all_services_are_there(self):
        self.assertEqual(sorted(s.name for f in OWN for s in f.service), sorted([
            "WorkflowService", "ProductionService", "DevelopmentService", "NodeTypeService", "QueueService",
            "DeadLetterService", "WebhookService", "WorkerService", "SystemService"]))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
