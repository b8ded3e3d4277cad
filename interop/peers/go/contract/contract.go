// Package contract reads the test contract, test.v1.Echo, from a descriptor set, so that no Go code has to be generated.
package contract

import (
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Service is the full name of the service that every peer calls or serves.
const Service = "test.v1.Echo"

// Codes by reason, as the enum TestReason maps them; TEAPOT has no gRPC code of its own.
var Codes = map[string]uint32{"THING_NOT_FOUND": 5, "QUOTA_EXHAUSTED": 8, "TEAPOT": 2}

// Request mirrors test.v1.EchoRequest.
type Request struct {
	Text         string
	Payload      []byte
	Count        int32
	DelayMs      int32
	FailReason   string
	EchoMetadata []string
}

// Reply mirrors test.v1.EchoReply.
type Reply struct {
	Text     string
	Payload  []byte
	Index    int32
	Metadata map[string]string
}

// Contract makes and reads the messages.
type Contract struct {
	request, reply protoreflect.MessageDescriptor
}

// Load reads the descriptor set named by INTEROP_CONTRACT, by default the one that install.sh leaves in the cache folder.
func Load() (*Contract, error) {
	path := os.Getenv("INTEROP_CONTRACT")
	if path == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, err
			}
			cache = filepath.Join(home, ".cache")
		}
		path = filepath.Join(cache, "effect-kratos", "interop", "contract.binpb")
	}
	bytes, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (install.sh writes it)", err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(bytes, set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	message := func(name protoreflect.FullName) (protoreflect.MessageDescriptor, error) {
		found, err := files.FindDescriptorByName(name)
		if err != nil {
			return nil, err
		}
		return found.(protoreflect.MessageDescriptor), nil
	}
	request, err := message("test.v1.EchoRequest")
	if err != nil {
		return nil, err
	}
	reply, err := message("test.v1.EchoReply")
	if err != nil {
		return nil, err
	}
	return &Contract{request, reply}, nil
}

// NewRequest and NewReply make empty messages to decode into.
func (c *Contract) NewRequest() *dynamicpb.Message { return dynamicpb.NewMessage(c.request) }
func (c *Contract) NewReply() *dynamicpb.Message   { return dynamicpb.NewMessage(c.reply) }

func field(m *dynamicpb.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

// Request writes a request message.
func (c *Contract) Request(r Request) *dynamicpb.Message {
	m := c.NewRequest()
	m.Set(field(m, "text"), protoreflect.ValueOfString(r.Text))
	m.Set(field(m, "payload"), protoreflect.ValueOfBytes(r.Payload))
	m.Set(field(m, "count"), protoreflect.ValueOfInt32(r.Count))
	m.Set(field(m, "delay_ms"), protoreflect.ValueOfInt32(r.DelayMs))
	m.Set(field(m, "fail_reason"), protoreflect.ValueOfString(r.FailReason))
	names := m.Mutable(field(m, "echo_metadata")).List()
	for _, name := range r.EchoMetadata {
		names.Append(protoreflect.ValueOfString(name))
	}
	return m
}

// ReadRequest reads a request message.
func ReadRequest(m *dynamicpb.Message) Request {
	r := Request{
		Text:       m.Get(field(m, "text")).String(),
		Payload:    m.Get(field(m, "payload")).Bytes(),
		Count:      int32(m.Get(field(m, "count")).Int()),
		DelayMs:    int32(m.Get(field(m, "delay_ms")).Int()),
		FailReason: m.Get(field(m, "fail_reason")).String(),
	}
	names := m.Get(field(m, "echo_metadata")).List()
	for i := range names.Len() {
		r.EchoMetadata = append(r.EchoMetadata, names.Get(i).String())
	}
	return r
}

// Reply writes a reply message.
func (c *Contract) Reply(r Reply) *dynamicpb.Message {
	m := c.NewReply()
	m.Set(field(m, "text"), protoreflect.ValueOfString(r.Text))
	m.Set(field(m, "payload"), protoreflect.ValueOfBytes(r.Payload))
	m.Set(field(m, "index"), protoreflect.ValueOfInt32(r.Index))
	entries := m.Mutable(field(m, "metadata")).Map()
	for name, value := range r.Metadata {
		entries.Set(protoreflect.ValueOfString(name).MapKey(), protoreflect.ValueOfString(value))
	}
	return m
}

// ReadReply reads a reply message.
func ReadReply(m *dynamicpb.Message) Reply {
	r := Reply{
		Text:     m.Get(field(m, "text")).String(),
		Payload:  m.Get(field(m, "payload")).Bytes(),
		Index:    int32(m.Get(field(m, "index")).Int()),
		Metadata: map[string]string{},
	}
	m.Get(field(m, "metadata")).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		r.Metadata[key.String()] = value.String()
		return true
	})
	return r
}
