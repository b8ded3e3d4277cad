// The codecs of Kratos v2 and v3 behind lines of JSON: each line on standard input is a question, each line on standard output its answer, in
// the same order. What a codec makes of a message, or fails to make, is the answer; a panic is a failure that says so.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	v2 "github.com/go-kratos/kratos/v2/encoding"
	_ "github.com/go-kratos/kratos/v2/encoding/form"
	_ "github.com/go-kratos/kratos/v2/encoding/json"
	_ "github.com/go-kratos/kratos/v2/encoding/proto"
	_ "github.com/go-kratos/kratos/v2/encoding/xml"
	_ "github.com/go-kratos/kratos/v2/encoding/yaml"
	v3 "github.com/go-kratos/kratos/v3/encoding"
	_ "github.com/go-kratos/kratos/v3/encoding/form"
	_ "github.com/go-kratos/kratos/v3/encoding/json"
	_ "github.com/go-kratos/kratos/v3/encoding/proto"
	_ "github.com/go-kratos/kratos/v3/encoding/protojson"
	_ "github.com/go-kratos/kratos/v3/encoding/xml"
	_ "github.com/go-kratos/kratos/v3/encoding/yaml"
	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "effect-kratos/interop/codecs/gen/testv1"
)

// Question asks what a codec makes of bytes. The bytes of `encode` are binary protobuf, and so are those that `decode` answers with.
type Question struct {
	Op    string `json:"op"`
	Codec string `json:"codec"`
	Type  string `json:"type"`
	Data  []byte `json:"data"`
}

// Answer has one of the two.
type Answer struct {
	Data  []byte `json:"data,omitempty"`
	Error string `json:"error,omitempty"`
}

type codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// The module of Kratos that registers this codec does no more than to call the library.
type packed struct{}

func (packed) Marshal(v any) ([]byte, error)      { return msgpack.Marshal(v) }
func (packed) Unmarshal(data []byte, v any) error { return msgpack.Unmarshal(data, v) }

var codecs = map[string]codec{
	"v2/json":      v2.GetCodec("json"),
	"v2/form":      v2.GetCodec("x-www-form-urlencoded"),
	"v2/proto":     v2.GetCodec("proto"),
	"v2/xml":       v2.GetCodec("xml"),
	"v2/yaml":      v2.GetCodec("yaml"),
	"v3/json":      v3.GetCodec("json"),
	"v3/protojson": v3.GetCodec("protojson"),
	"v3/form":      v3.GetCodec("x-www-form-urlencoded"),
	"v3/proto":     v3.GetCodec("proto"),
	"v3/xml":       v3.GetCodec("xml"),
	"v3/yaml":      v3.GetCodec("yaml"),
	"msgpack":      packed{},
}

func answer(q Question) (data []byte, err error) {
	defer func() {
		if what := recover(); what != nil {
			data, err = nil, fmt.Errorf("panic: %v", what)
		}
	}()
	codec := codecs[q.Codec]
	if codec == nil {
		return nil, fmt.Errorf("there is no codec %q", q.Codec)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(q.Type))
	if err != nil {
		return nil, err
	}
	message := kind.New().Interface()
	switch q.Op {
	case "encode":
		if err := proto.Unmarshal(q.Data, message); err != nil {
			return nil, err
		}
		return codec.Marshal(message)
	case "decode":
		if err := codec.Unmarshal(q.Data, message); err != nil {
			return nil, err
		}
		return proto.MarshalOptions{Deterministic: true}.Marshal(message)
	default:
		return nil, fmt.Errorf("there is no operation %q", q.Op)
	}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var question Question
		var reply Answer
		if err := json.Unmarshal(line, &question); err != nil {
			reply.Error = err.Error()
		} else if data, err := answer(question); err != nil {
			reply.Error = err.Error()
		} else {
			reply.Data = data
		}
		written, err := json.Marshal(reply)
		if err != nil {
			panic(err)
		}
		_, _ = out.Write(append(written, '\n'))
		// who asks many things at once gets many answers at once
		if in.Buffered() == 0 {
			_ = out.Flush()
		}
	}
}
